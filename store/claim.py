"""Taking jobs, and proving to hold them still."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from store.announce import announcing
from store.database import Database, db_now
from store.errors import LeaseLost
from store.moves import move_evaluations, move_runs
from store.states import EvaluationState, JobKind, JobState, RunState
from store.tables import Job, Run


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker holds for as long as it renews its lease."""

    job_id: str
    kind: JobKind
    run_id: str
    #: What to evaluate; None for training.
    evaluation_id: str | None
    #: Higher than that of every earlier claim of this job.
    fence: int
    #: How often the job has been claimed, this time included.
    attempts: int


def claim(
    database: Database, kind: JobKind, *, worker: str, lease_seconds: float, width: int = 1
) -> list[Claim]:
    """Take up to `width` waiting jobs of a kind, in order of priority and then of age.

    Nobody else gets the same jobs until they are released or their leases run out. Fewer come
    back when fewer wait or when others were faster; an empty list is no error.

    Args:
        database: where the jobs are.
        kind: what the worker can do.
        worker: a name that tells people which process on which machine it is.
        lease_seconds: how long the worker may be silent; `beat` renews it.
        width: how many jobs at most.
    """
    with database.write() as session:
        candidates = session.execute(
            select(Job.id, Job.run_id)
            .join(Run, Run.id == Job.run_id)
            .where(Job.kind == kind, Job.state == JobState.QUEUED)
            .order_by(Job.priority.desc(), Job.created_at, Job.id)
            .limit(width)
            # Jobs that another worker is taking at this moment are passed over, not waited for.
            .with_for_update(of=Run, skip_locked=True, key_share=True)
        ).all()
        if not candidates:
            return []
        order = [job_id for job_id, _ in candidates]
        with announcing(session, (run_id for _, run_id in candidates)):
            rows = session.execute(
                update(Job)
                .where(Job.id.in_(order), Job.state == JobState.QUEUED)
                .values(
                    state=JobState.RUNNING,
                    fence=Job.fence + 1,
                    attempts=Job.attempts + 1,
                    lease_until=db_now() + lease_seconds,
                    worker=worker,
                )
                .returning(Job.id, Job.kind, Job.run_id, Job.evaluation_id, Job.fence, Job.attempts)
            )
            claims = [Claim(*row) for row in rows]
            move_runs(
                session,
                (taken.run_id for taken in claims if taken.evaluation_id is None),
                RunState.TRAINING,
            )
            move_evaluations(
                session,
                (taken.evaluation_id for taken in claims if taken.evaluation_id is not None),
                EvaluationState.RUNNING,
            )
    return sorted(claims, key=lambda taken: order.index(taken.job_id))


def still_held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The condition on a job's row that every write of its worker depends on."""
    return (Job.id == claim.job_id, Job.fence == claim.fence, Job.state == JobState.RUNNING)


def hold(session: Session, claim: Claim) -> bool:
    """Make sure that the job stays this worker's until the transaction ends.

    Returns:
        Whether somebody has asked for the job to be cancelled.

    Raises:
        LeaseLost: if the job has a newer fence or is no longer running.
    """
    cancel_requested = session.scalars(
        select(Job.cancel_requested).where(*still_held(claim)).with_for_update(key_share=True)
    ).one_or_none()
    if cancel_requested is None:
        raise LeaseLost(claim.job_id, claim.fence)
    return cancel_requested
