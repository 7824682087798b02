"""The demand for work: asking for it and withdrawing it. Call it inside `announcing`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.ids import new_id
from store.database.rows import insert_rows, parts
from store.database.tables import Evaluation, Experiment, ExperimentRun, Job
from store.jobs.transitions import (
    end_training,
    settle,
    trained,
    transition_evaluations,
    transition_jobs,
    transition_runs,
)
from store.states import (
    EVALUATION_RESUMABLE,
    JOB_RESUMABLE,
    EvaluationState,
    JobKind,
    JobState,
    RunState,
)

LOCAL = "local"
"""The owner of jobs that were posted without a name."""


def demand(session: Session, run_ids: Iterable[str], evaluation_ids: Iterable[str]) -> None:
    """Have these evaluations of these runs made.

    Work that is finished, waiting or running stays as it is. Work that failed or was cancelled is
    queued again. Training goes on from its newest checkpoint. If it is done already, the evaluation
    alone is queued. A cancellation that a worker has not carried out yet is withdrawn.
    """
    runs, evaluations = set(run_ids), set(evaluation_ids)
    _withdraw_cancellation(session, runs, evaluations)
    again = _queue_training_again(session, runs)
    transition_runs(session, again, RunState.QUEUED)
    # When the training ended, the evaluations of other experiments ended with it. They are queued
    # again, too.
    _revive(session, evaluations | _wanted_evaluations(session, again))
    ready = trained(session, runs)
    queue_evaluations(session, ready)
    settle(session, ready)


def demand_of_file(session: Session, evaluation_id: str) -> None:
    """Have the evaluation of a file made. The caller has locked its job."""
    _withdraw_cancellation(session, set(), {evaluation_id})
    _revive(session, {evaluation_id})
    _queue_again(session, Job.evaluation_id == evaluation_id)


def queue_evaluations(session: Session, run_ids: Iterable[str]) -> None:
    """Give every queued evaluation of these trained runs a job that workers can take.

    A new job gets the highest priority of the experiments that want the evaluation, and the owner
    of one of them.
    """
    new: list[dict[str, Any]] = []
    again: list[str] = []
    now = session.scalar(select(db_now())) if (run_ids := list(run_ids)) else None
    for part in parts(run_ids):
        waiting = session.execute(
            select(
                Evaluation.id,
                Evaluation.run_id,
                Evaluation.evaluation_key,
                Job.id,
                func.coalesce(func.max(Experiment.priority), 0),
                func.min(Experiment.owner),
            )
            .outerjoin(Job, Job.evaluation_id == Evaluation.id)
            .outerjoin(
                ExperimentRun,
                and_(ExperimentRun.evaluation_id == Evaluation.id, ExperimentRun.wanted),
            )
            .outerjoin(Experiment, Experiment.id == ExperimentRun.experiment_id)
            .where(Evaluation.run_id.in_(part), Evaluation.state == EvaluationState.QUEUED)
            .group_by(Evaluation.id, Evaluation.run_id, Evaluation.evaluation_key, Job.id)
            .order_by(Evaluation.id)
        )
        for evaluation_id, run_id, key, job_id, priority, owner in waiting:
            if job_id is not None:
                again.append(job_id)
                continue
            new.append(
                new_job(
                    JobKind.EVALUATE,
                    run_id=run_id,
                    evaluation_id=evaluation_id,
                    priority=priority,
                    owner=owner,
                    now=now,
                    pace_key=key,
                )
            )
    insert_rows(session, Job, new)
    for part in parts(again):
        _queue_again(session, Job.id.in_(part))


def new_job(
    kind: JobKind,
    *,
    run_id: str | None,
    evaluation_id: str | None,
    priority: int,
    owner: str | None,
    now: float | None,
    cohort_key: str | None = None,
    pace_key: str | None = None,
    short: bool = False,
) -> dict[str, Any]:
    """The row of a new job that waits."""
    return {
        "id": new_id("job"),
        "kind": kind,
        "run_id": run_id,
        "evaluation_id": evaluation_id,
        "state": JobState.QUEUED,
        "priority": priority,
        "owner": owner or LOCAL,
        "created_at": now,
        "fence": 0,
        "attempts": 0,
        "losses": 0,
        "cancel_requested": False,
        "cohort_key": cohort_key,
        "pace_key": pace_key,
        "short": short,
    }


def stop_training(session: Session, run_ids: Iterable[str]) -> None:
    """Stop the training of these runs.

    A waiting job ends now, a running one at its worker's next beat.
    """
    ended: list[str] = []
    for part in parts(run_ids):
        training = (Job.run_id.in_(part), Job.kind == JobKind.TRAIN)
        ended += session.scalars(
            transition_jobs(JobState.CANCELLED, *training, Job.state == JobState.QUEUED).returning(
                Job.run_id
            )
        )
        session.execute(
            update(Job)
            .where(*training, Job.state == JobState.RUNNING)
            .values(cancel_requested=True)
        )
    end_training(session, ended, "cancelled")


def stop_evaluations(
    session: Session, run_ids: Iterable[str], evaluation_ids: Iterable[str]
) -> None:
    """Stop these evaluations of these runs, or of files.

    A waiting evaluation ends now, a running one at its worker's next beat.
    """
    for part in parts(evaluation_ids):
        session.execute(
            transition_jobs(
                JobState.CANCELLED, Job.evaluation_id.in_(part), Job.state == JobState.QUEUED
            )
        )
        session.execute(
            update(Job)
            .where(Job.evaluation_id.in_(part), Job.state == JobState.RUNNING)
            .values(cancel_requested=True)
        )
        waiting = session.scalars(
            select(Evaluation.id).where(
                Evaluation.id.in_(part), Evaluation.state == EvaluationState.QUEUED
            )
        ).all()
        transition_evaluations(session, waiting, EvaluationState.CANCELLED)
    settle(session, trained(session, run_ids))


def _withdraw_cancellation(session: Session, runs: set[str], evaluations: set[str]) -> None:
    for part in parts(runs):
        session.execute(
            update(Job)
            .where(Job.run_id.in_(part), Job.kind == JobKind.TRAIN, Job.cancel_requested)
            .values(cancel_requested=False)
        )
    for part in parts(evaluations):
        session.execute(
            update(Job)
            .where(Job.evaluation_id.in_(part), Job.cancel_requested)
            .values(cancel_requested=False)
        )


def _queue_training_again(session: Session, runs: set[str]) -> list[str]:
    again: list[str] = []
    for part in parts(runs):
        again += _queue_again(session, Job.run_id.in_(part), Job.kind == JobKind.TRAIN)
    return again


def _queue_again(session: Session, *which: ColumnElement[bool]) -> list[str]:
    """Queue the failed and cancelled ones among these jobs. Returns their runs."""
    found = session.scalars(
        transition_jobs(JobState.QUEUED, *which, Job.state.in_(JOB_RESUMABLE))
        .values(losses=0, worker=None)
        .returning(Job.run_id)
    )
    return [run_id for run_id in found if run_id is not None]


def _revive(session: Session, evaluation_ids: Iterable[str]) -> None:
    """Queue the failed and cancelled ones among these evaluations."""
    for part in parts(evaluation_ids):
        # The transition alone would also take running evaluations, which must not be queued here.
        ended = session.scalars(
            select(Evaluation.id).where(
                Evaluation.id.in_(part), Evaluation.state.in_(EVALUATION_RESUMABLE)
            )
        )
        transition_evaluations(session, ended.all(), EvaluationState.QUEUED)


def _wanted_evaluations(session: Session, runs: list[str]) -> set[str]:
    return {
        evaluation_id
        for part in parts(runs)
        for evaluation_id in session.scalars(
            select(ExperimentRun.evaluation_id).where(
                ExperimentRun.run_id.in_(part), ExperimentRun.wanted
            )
        )
    }
