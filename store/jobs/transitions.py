"""Transitions of runs, evaluations and jobs between states. Call them inside `announcing`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.rows import parts
from store.database.tables import Evaluation, Job, Run
from store.jobs.attempts import end_attempt
from store.states import (
    EVALUATION_LIVE,
    AttemptEnd,
    EvaluationState,
    JobKind,
    JobState,
    RunState,
    settled_state,
    sources,
)

#: How work ends without a result.
Ending = Literal["failed", "cancelled"]


def transition_runs(
    session: Session, run_ids: Iterable[str], to: RunState, *, error: dict[str, Any] | None = None
) -> None:
    """Put runs into a state. A run whose state does not allow that is left as it is."""
    values: dict[str, Any] = {"state": to, "error": error, "finished_at": db_now()}
    if to in (RunState.QUEUED, RunState.TRAINING, RunState.EVALUATING):
        values["finished_at"] = None
    if to is RunState.TRAINING:
        values["started_at"] = func.coalesce(Run.started_at, db_now())
    for part in parts(run_ids):
        session.execute(
            update(Run).where(Run.id.in_(part), Run.state.in_(sources(to))).values(values)
        )


def settle(session: Session, run_ids: Iterable[str | None]) -> None:
    """Give trained runs the states that follow from their evaluations. A None is ignored."""
    found: dict[str, list[EvaluationState]] = defaultdict(list)
    errors: dict[str, dict[str, Any] | None] = {}
    for part in parts(run_id for run_id in run_ids if run_id is not None):
        rows = session.execute(
            select(Evaluation.run_id, Evaluation.state, Evaluation.error)
            .where(Evaluation.run_id.in_(part))
            .order_by(Evaluation.finished_at)
        )
        for run_id, state, error in rows:
            assert run_id is not None  # The condition excludes it.
            found[run_id].append(state)
            if state is EvaluationState.FAILED:
                errors[run_id] = error
    by_state: dict[RunState, list[str]] = defaultdict(list)
    for run_id, states in found.items():
        by_state[settled_state(states)].append(run_id)
    for run_id in by_state.pop(RunState.FAILED, []):
        transition_runs(session, [run_id], RunState.FAILED, error=errors[run_id])
    for to, ids in by_state.items():
        transition_runs(session, ids, to)


def end_training(
    session: Session, run_ids: Iterable[str], ending: Ending, error: dict[str, Any] | None = None
) -> None:
    """End runs that are not trained, and the evaluations that waited for their training."""
    ids = list(run_ids)
    end_evaluations_of(session, ids, ending, error)
    transition_runs(session, ids, RunState(ending), error=error)


def end_evaluations_of(
    session: Session, run_ids: Iterable[str], ending: Ending, error: dict[str, Any] | None = None
) -> None:
    """End every live evaluation of these runs. The caller changes the runs' own states."""
    to = EvaluationState(ending)
    for part in parts(run_ids):
        session.execute(
            update(Evaluation)
            .where(Evaluation.run_id.in_(part), Evaluation.state.in_(sources(to)))
            .values(state=to, error=error, finished_at=db_now())
        )


def transition_evaluations(
    session: Session,
    evaluation_ids: Iterable[str],
    to: EvaluationState,
    *,
    error: dict[str, Any] | None = None,
) -> None:
    """Put evaluations into a state. One whose state does not allow that is left as it is."""
    ended = to not in EVALUATION_LIVE
    for part in parts(evaluation_ids):
        session.execute(
            update(Evaluation)
            .where(Evaluation.id.in_(part), Evaluation.state.in_(sources(to)))
            .values(state=to, error=error, finished_at=db_now() if ended else None)
        )


def transition_jobs(to: JobState, *which: ColumnElement[bool]) -> Update:
    """The statement that puts these jobs into a state, except where a job's state forbids it."""
    return update(Job).where(*which, Job.state.in_(sources(to))).values(state=to)


def end_job(
    session: Session,
    *,
    job_id: str,
    run_id: str | None,
    evaluation_id: str | None,
    ending: Ending,
    error: dict[str, Any] | None = None,
) -> None:
    """End a running job without a result, and the run and evaluations that depend on it."""
    end_attempt(session, job_id, AttemptEnd(ending), error)
    session.execute(
        transition_jobs(JobState(ending), Job.id == job_id).values(
            lease_until=None, cancel_requested=False
        )
    )
    if evaluation_id is not None:
        transition_evaluations(session, [evaluation_id], EvaluationState(ending), error=error)
        settle(session, [run_id])
    elif run_id is not None:
        end_training(session, [run_id], ending, error)


def put_back(
    session: Session,
    *,
    job_id: str,
    run_id: str | None,
    evaluation_id: str | None,
    end: AttemptEnd,
    cause: dict[str, Any] | None = None,
) -> None:
    """Queue a running job again for any worker, after its worker has released or lost it."""
    end_attempt(session, job_id, end, cause)
    lost = end is AttemptEnd.LOST
    session.execute(
        transition_jobs(JobState.QUEUED, Job.id == job_id).values(
            lease_until=None,
            worker=None,
            give_way=False,
            losses=Job.losses + 1 if lost else Job.losses,
        )
    )
    if evaluation_id is not None:
        transition_evaluations(session, [evaluation_id], EvaluationState.QUEUED)
    elif run_id is not None:
        transition_runs(session, [run_id], RunState.QUEUED)


def trained(session: Session, run_ids: Iterable[str]) -> set[str]:
    """The runs among these that have been trained to the end."""
    return {
        run_id
        for part in parts(run_ids)
        for run_id in session.scalars(
            select(Job.run_id).where(
                Job.run_id.in_(part), Job.kind == JobKind.TRAIN, Job.state == JobState.DONE
            )
        )
        if run_id is not None
    }
