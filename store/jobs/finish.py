"""How a worker ends its work on a job: done, failed, cancelled, or released to another worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.rows import insert_rows
from store.database.storable import storable
from store.database.tables import Artifact, Checkpoint, Job, Run, Scalars, Score
from store.files.artifact_names import CURVES
from store.jobs.announce import announcing
from store.jobs.attempts import end_attempt
from store.jobs.checkpoints import paths_below
from store.jobs.claim import Claim, hold
from store.jobs.demand import queue_evaluations
from store.jobs.transitions import (
    end_evaluations_of,
    end_job,
    put_back,
    settle,
    transition_evaluations,
    transition_jobs,
)
from store.states import AttemptEnd, EvaluationState, JobState


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file in the object folder that is to be recorded as a run's artifact."""

    name: str
    sha256: str
    media_type: str
    #: In bytes.
    size: int


def finish_training(
    database: Database,
    claim: Claim,
    *,
    record: dict[str, Any],
    artifacts: Sequence[NewArtifact] = (),
    keep_state: bool = True,
    course_id: str | None = None,
) -> list[str]:
    """Record a trained model. Its evaluations become jobs in the same transaction.

    All its checkpoints are forgotten, except for the last one if `keep_state` is set. If the
    artifacts contain the curves (`CURVES` of `store.files.artifact_names`), the rows of the curves
    are deleted. If the run was to be cancelled meanwhile, it ends cancelled but stays trained, and
    resuming it goes straight to evaluation.

    Returns:
        The paths of the files that still count. `CheckpointFolder.clear` may delete all others.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    run_id = claim.trains
    with _holding(database, claim) as (session, cancel_requested):
        _done(session, claim)
        session.execute(update(Run).where(Run.id == run_id).values(record=record))
        _add_artifacts(session, claim, artifacts)
        if cancel_requested:
            end_evaluations_of(session, [run_id], "cancelled")
        queue_evaluations(session, [run_id])
        settle(session, [run_id])
        if course_id is not None:
            # A run that is older than courses has no course id yet.
            session.execute(update(Run).where(Run.id == run_id).values(course_id=course_id))
        _forget_checkpoints(session, run_id, keep_end=keep_state)
        if any(artifact.name == CURVES for artifact in artifacts):
            session.execute(delete(Scalars).where(Scalars.run_id == run_id))
        paths = paths_below(session, run_id)
        end_attempt(session, claim.job_id, AttemptEnd.DONE)
        return paths


def finish_evaluation(
    database: Database,
    claim: Claim,
    *,
    scores: Sequence[dict[str, Any]],
    artifacts: Sequence[NewArtifact] = (),
) -> None:
    """Record an evaluation's scores, in the order given, and its pictures.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    evaluation_id = claim.evaluates
    with _holding(database, claim) as (session, _):
        _done(session, claim)
        insert_rows(
            session,
            Score,
            (
                {
                    "run_id": claim.run_id,
                    "evaluation_id": evaluation_id,
                    "position": position,
                    "document": _kept(document),
                }
                for position, document in enumerate(scores)
            ),
        )
        _add_artifacts(session, claim, artifacts)
        transition_evaluations(session, [evaluation_id], EvaluationState.SUCCEEDED)
        settle(session, [claim.run_id])
        end_attempt(session, claim.job_id, AttemptEnd.DONE)


def keep_artifacts(database: Database, claim: Claim, artifacts: Sequence[NewArtifact]) -> None:
    """Record files as the run's artifacts while the job goes on.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with _holding(database, claim) as (session, _):
        _add_artifacts(session, claim, artifacts)


def _kept(score: dict[str, Any]) -> dict[str, Any]:
    # Only the error may hold a library's text. Checking the matrices would take long.
    return score | {"error": storable(score["error"])} if score.get("error") else score


def fail(database: Database, claim: Claim, error: dict[str, Any]) -> None:
    """End the job with the error `{type, message, advice}` that stopped it.

    A failed evaluation fails its run, unless another evaluation of the run has scores or goes on.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with _holding(database, claim) as (session, _):
        end_job(
            session,
            job_id=claim.job_id,
            run_id=claim.run_id,
            evaluation_id=claim.evaluation_id,
            ending="failed",
            error=storable(error),
        )


def release(
    database: Database, claim: Claim, *, lost: bool = False, cause: dict[str, Any] | None = None
) -> None:
    """Queue the job again for any worker. If it was `lost`, that counts as a loss.

    If the job was to be cancelled meanwhile, it ends cancelled. `cause` is `{type, message}`. It
    says why the job is released, if nothing else says so.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with _holding(database, claim) as (session, cancel_requested):
        if cancel_requested:
            end_job(
                session,
                job_id=claim.job_id,
                run_id=claim.run_id,
                evaluation_id=claim.evaluation_id,
                ending="cancelled",
            )
        else:
            put_back(
                session,
                job_id=claim.job_id,
                run_id=claim.run_id,
                evaluation_id=claim.evaluation_id,
                end=AttemptEnd.LOST if lost else _let_go(session, claim),
                cause=storable(cause),
            )


def acknowledge_cancel(database: Database, claim: Claim) -> None:
    """Record that the work has stopped, as a beat asked.

    If somebody has asked for the work since, the job is queued again instead.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    # A release ends the job as cancelled if the database still says so, else it queues the job.
    release(database, claim)


@contextmanager
def _holding(database: Database, claim: Claim) -> Iterator[tuple[Session, bool]]:
    with database.write() as session, announcing(session, [claim.run_id]):
        yield session, hold(session, claim)


def _let_go(session: Session, claim: Claim) -> AttemptEnd:
    asked = session.scalar(select(Job.give_way).where(Job.id == claim.job_id))
    return AttemptEnd.GAVE_WAY if asked else AttemptEnd.RELEASED


def _done(session: Session, claim: Claim) -> None:
    session.execute(
        transition_jobs(JobState.DONE, Job.id == claim.job_id).values(
            lease_until=None, cancel_requested=False
        )
    )


def _forget_checkpoints(session: Session, run_id: str, *, keep_end: bool) -> None:
    """Forget a run's checkpoints, except for the newest at its last step if `keep_end` is set."""
    going = Checkpoint.run_id == run_id
    if keep_end:
        kept = session.scalar(
            select(func.max(Checkpoint.fence))
            .join(Run, Run.id == Checkpoint.run_id)
            .where(Checkpoint.run_id == run_id, Checkpoint.step == Run.steps)
        )
        if kept is not None:
            steps = select(Run.steps).where(Run.id == run_id).scalar_subquery()
            going = and_(going, or_(Checkpoint.fence != kept, Checkpoint.step != steps))
    session.execute(delete(Checkpoint).where(going))


def _add_artifacts(session: Session, claim: Claim, artifacts: Sequence[NewArtifact]) -> None:
    if not artifacts:
        return
    now = session.scalar(select(db_now()))
    insert_rows(
        session,
        Artifact,
        (
            {
                "run_id": claim.run_id,
                "evaluation_id": claim.evaluation_id,
                "name": artifact.name,
                "sha256": artifact.sha256,
                "media_type": artifact.media_type,
                "bytes": artifact.size,
                "created_at": now,
            }
            for artifact in artifacts
        ),
    )
