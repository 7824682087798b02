"""Finding out at once which of several runs, experiments and evaluations have not ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.database.rows import parts
from store.queries.experiments import counts_by_state
from store.states import EVALUATION_LIVE, RUN_LIVE, ExperimentState, experiment_state


class Work(StrEnum):
    """What can be waited for."""

    RUN = "run"  #: One model.
    EXPERIMENT = "experiment"  #: All runs of an experiment, as they count there.
    EVALUATION = "evaluation"  #: Of a run, or of a file.


def under_way(database: Database, asked: Collection[tuple[Work, str]]) -> set[tuple[Work, str]]:
    """The pairs among these that exist and have not ended."""
    found: set[tuple[Work, str]] = set()
    with database.read() as session:
        for work in Work:
            ids = [id for kind, id in asked if kind is work]
            for some in parts(ids):
                found.update((work, id) for id in _under_way(session, work, some))
    return found


def _under_way(session: Session, work: Work, ids: Sequence[str]) -> Sequence[str]:
    if work is Work.EXPERIMENT:
        known = session.scalars(
            select(tables.Experiment.id).where(tables.Experiment.id.in_(ids))
        ).all()
        live = (ExperimentState.QUEUED, ExperimentState.RUNNING)
        counts = counts_by_state(session, list(known))
        return [id for id in known if experiment_state(counts[id]) in live]
    if work is Work.RUN:
        run = tables.Run
        return session.scalars(select(run.id).where(run.id.in_(ids), run.state.in_(RUN_LIVE))).all()
    evaluation = tables.Evaluation
    return session.scalars(
        select(evaluation.id).where(evaluation.id.in_(ids), evaluation.state.in_(EVALUATION_LIVE))
    ).all()
