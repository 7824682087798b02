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
"""Tables with rows of runs, those that refer to others first."""


def unheld() -> ColumnElement[bool]:
    """The condition on a run that nothing holds it and nothing is done with it."""
    return (
        ~Run.pinned
        & Run.state.not_in(RUN_LIVE)
        & ~exists().where(ExperimentRun.run_id == Run.id)
        & ~exists().where(Evaluation.run_id == Run.id, Evaluation.wanted)
    )


def forget_unheld(session: Session, run_ids: Iterable[str]) -> int:
    """Delete those of these runs that nothing holds, with all that is known of them.

    Their files are then nobody's, and `store.retention.collect` removes them.

    Returns:
        How many there were.
    """
    ids = list(run_ids)
    lock_runs(session, ids)
    forgotten = 0
    for part in parts(ids):
        # After the lock: somebody may have joined one of them meanwhile.
        going = session.scalars(select(Run.id).where(Run.id.in_(part), unheld())).all()
        for table in _OF_RUN:
            session.execute(delete(table).where(table.run_id.in_(going)))
        session.execute(delete(Run).where(Run.id.in_(going)))
        forgotten += len(going)
    return forgotten
