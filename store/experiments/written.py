"""The answer to a submission, made of what was written instead of read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Session

from store.database.rows import parts
from store.database.tables import Evaluation, Job, Run
from store.database.tables import Experiment as ExperimentRow
from store.database.tables import ExperimentRun as Link
from store.queries import Experiment, ExperimentRun
from store.states import EvaluationState, JobKind, JobState, RunState, experiment_state


@dataclass(frozen=True, slots=True)
class Written:
    """An experiment as its submission has left it. All of its runs wait and have no files."""

    experiment: Experiment
    runs: list[ExperimentRun]


# Statements are made once: making one and its key takes longer than sending it.
_JOINED = (
    select(
        Run.id,
        Run.train_id,
        Run.current,
        Run.state,
        Run.origin,
        Job.state.label("job_state"),
        Job.attempts,
        Job.cancel_requested,
        Job.priority,
    )
    .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
    .where(Run.id.in_(bindparam("ids", expanding=True)))
)
_EVALUATIONS = select(
    Evaluation.run_id, Evaluation.evaluation_key, Evaluation.id, Evaluation.state
).where(Evaluation.run_id.in_(bindparam("ids", expanding=True)))
_KEPT = select(
    ExperimentRow.spec,
    select(func.jsonb_agg(aggregate_order_by(Link.swept, Link.position), type_=JSONB))
    .where(Link.experiment_id == ExperimentRow.id)
    .scalar_subquery(),
).where(ExperimentRow.id == bindparam("id"))


def evaluations_of(
    session: Session, run_ids: Iterable[str]
) -> dict[tuple[str, str], tuple[str, EvaluationState]]:
    """The evaluations of these runs: {(run id, evaluation key): (evaluation id, state)}."""
    connection = session.connection()
    return {
        (run_id, key): (id, state)
        for part in parts(run_ids)
        for run_id, key, id, state in connection.execute(_EVALUATIONS, {"ids": part})
        if run_id is not None
    }


def untouched(session: Session, current: Mapping[str, str], priority: int) -> bool:
    """Whether these runs, by `train_id`, all wait for their first worker, at this priority or more.

    Joining such a run changes nothing about it. Call this once they are locked.
    """
    connection, found = session.connection(), 0
    for part in parts(current.values()):
        for row in connection.execute(_JOINED, {"ids": part}):
            found += 1
            if (
                current.get(row.train_id) != row.id
                or not row.current
                or row.state is not RunState.QUEUED
                or row.origin is not None
                or row.job_state is not JobState.QUEUED
                or row.attempts
                or row.cancel_requested
                or row.priority < priority
            ):
                return False
    return found == len(current)


def written(
    session: Session, experiment: Mapping[str, Any], links: Sequence[Mapping[str, Any]]
) -> Written:
    """The answer, from the rows of an experiment and of its places, whose runs all wait.

    Args:
        session: the transaction that has written the rows.
        experiment: the row of the experiment.
        links: the rows of its places, each with the run's `train_id`.
    """
    counts = dict.fromkeys(RunState, 0) | {RunState.QUEUED: len(links)}
    spec, swept = experiment["spec"], [link["swept"] for link in links]
    if session.get_bind().dialect.name == "postgresql":
        # It keeps JSON by its value: names come back in another order, and 1e3 as 1000.
        spec, swept = session.connection().execute(_KEPT, {"id": experiment["id"]}).one()
    return Written(
        Experiment(
            id=experiment["id"],
            name=experiment["name"],
            tags=experiment["tags"],
            notes=experiment["notes"],
            spec=spec,
            owner=experiment["owner"],
            priority=experiment["priority"],
            created_at=experiment["created_at"],
            pinned=False,
            events=experiment["events"],
            state=experiment_state(counts),
            counts=counts,
        ),
        [
            ExperimentRun(
                experiment_id=experiment["id"],
                position=link["position"],
                run_id=link["run_id"],
                train_id=link["train_id"],
                evaluation_id=link["evaluation_id"],
                swept=values,
                reused=link["reused"],
                state=RunState.QUEUED,
            )
            for link, values in zip(links, swept, strict=True)
        ],
    )
