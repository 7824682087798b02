"""What holds a run: an experiment, a pin, or an evaluation that is asked for by itself."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from store.database.rows import parts
from store.database.tables import (
    Artifact,
    Attempt,
    Checkpoint,
    Evaluation,
    ExperimentRun,
    Job,
    LogLine,
    Run,
    Scalars,
    Score,
)
from store.jobs.announce import lock_runs
from store.states import RUN_LIVE

_OF_RUN = (Score, Artifact, Scalars, Checkpoint, LogLine, Attempt, Job, Evaluation)
"""The tables with rows of runs, each before the tables that it refers to."""


def unheld() -> ColumnElement[bool]:
    """The condition on a run that it has ended and nothing holds it."""
    return (
        ~Run.pinned
        & Run.state.not_in(RUN_LIVE)
        & ~exists().where(ExperimentRun.run_id == Run.id)
        & ~exists().where(Evaluation.run_id == Run.id, Evaluation.wanted)
    )


def forget_unheld(session: Session, run_ids: Iterable[str]) -> int:
    """Delete the runs among these that nothing holds, with all of their rows.

    No row names their files then, and `store.retention.collect` removes the files.

    Returns:
        How many runs were deleted.
    """
    ids = list(run_ids)
    lock_runs(session, ids)
    forgotten = 0
    for part in parts(ids):
        # This is checked under the lock, as a new experiment may have joined a run meanwhile.
        going = session.scalars(select(Run.id).where(Run.id.in_(part), unheld())).all()
        for table in _OF_RUN:
            session.execute(delete(table).where(table.run_id.in_(going)))
        session.execute(delete(Run).where(Run.id.in_(going)))
        forgotten += len(going)
    return forgotten
