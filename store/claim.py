"""Taking jobs, and proving to hold them still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true, update
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
    #: None for the evaluation of a file.
    run_id: str | None
    #: What to evaluate; None for training.
    evaluation_id: str | None
    #: Higher than that of every earlier claim of this job.
    fence: int
    #: How often the job has been claimed, this time included.
    attempts: int

    @property
    def trains(self) -> str:
        """The run that is to be trained; a ValueError for an evaluation."""
        if self.run_id is None or self.evaluation_id is not None:
            raise ValueError(f"Job {self.job_id} is for an evaluation, not for training.")
        return self.run_id

    @property
    def evaluates(self) -> str:
        """The evaluation that is to be made; a ValueError for training."""
        if self.evaluation_id is None:
            raise ValueError(f"Job {self.job_id} is for training, not for an evaluation.")
        return self.evaluation_id


@dataclass(frozen=True, slots=True)
class Cohort:
    """The training job whose turn it is, and the others that could be done beside it."""

    run_id: str
    #: What they have in common; None for a job that goes with no other.
    key: str | None
    #: The width at which it goes on with the same bits on this device; None if it is free.
    width: int | None
    #: How many wait that could be done at any width, or at that one, itself included.
    waiting: int


def next_cohort(database: Database, *, device: str, most: int) -> Cohort | None:
    """The training job whose turn it is, with up to `most` others that could go with it.

    A run goes on with the same bits at the width that made its checkpoint, on the same device
    model; one that comes from another device is free to take any.

    Args:
        database: where the jobs are.
        device: the model of the device that is to do them.
        most: counting stops here.
    """
    with database.read() as session:
        waits = (Job.kind == JobKind.TRAIN, Job.state == JobState.QUEUED)
        head = session.execute(
            select(Job.run_id, Job.cohort_key, _width_on(device))
            .where(*waits)
            .order_by(Job.priority.desc(), Job.created_at, Job.id)
            .limit(1)
        ).one_or_none()
        if head is None:
            return None
        run_id, key, width = head
        assert run_id is not None  # as it is a training job
        beside = select(Job.id).where(*waits, _beside(run_id, key, width, device)).limit(most)
        waiting = session.scalar(select(func.count()).select_from(beside.subquery()))
        return Cohort(run_id, key, width, max(1, waiting or 0))


def claim_cohort(
    database: Database,
    cohort: Cohort,
    *,
    device: str,
    width: int,
    worker: str,
    lease_seconds: float,
) -> list[Claim]:
    """Take up to `width` training jobs that can be done side by side.

    Those whose turn comes first; fewer, or none, when others were faster.
    """
    which = _beside(cohort.run_id, cohort.key, cohort.width, device)
    return _claim(database, JobKind.TRAIN, which, width, worker, lease_seconds)


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
    return _claim(database, kind, true(), width, worker, lease_seconds)


def _claim(
    database: Database,
    kind: JobKind,
    which: ColumnElement[bool],
    width: int,
    worker: str,
    lease_seconds: float,
) -> list[Claim]:
    with database.write() as session:
        candidates = _lock_next(session, kind, which, width)
        if not candidates:
            return []
        order = [job.id for job in candidates]
        with announcing(session, (job.run_id for job in candidates)):
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
                (taken.trains for taken in claims if taken.evaluation_id is None),
                RunState.TRAINING,
            )
            move_evaluations(
                session,
                (taken.evaluation_id for taken in claims if taken.evaluation_id is not None),
                EvaluationState.RUNNING,
            )
    return sorted(claims, key=lambda taken: order.index(taken.job_id))


def _width_on(device: str) -> ColumnElement[int | None]:
    """The width that binds a job on this device, if any does."""
    return case((Job.cohort_device == device, Job.cohort_width), else_=None)


def _beside(run_id: str, key: str | None, width: int | None, device: str) -> ColumnElement[bool]:
    """Which jobs can be done beside this one: with the same key, and bound to no other width."""
    if key is None:
        return Job.run_id == run_id
    bound = _width_on(device)
    fits = bound.is_(None) if width is None else or_(bound.is_(None), bound == width)
    return and_(Job.cohort_key == key, fits)


def _lock_next(
    session: Session, kind: JobKind, which: ColumnElement[bool], width: int
) -> list[Any]:
    """The waiting jobs whose turn it is, in order: `id` and `run_id` of each.

    Jobs that another worker is taking at this moment are passed over, not waited for. A job is
    locked through its run, as everywhere, or by itself where it has none.
    """
    waiting = (
        select(Job.id, Job.run_id, Job.priority, Job.created_at)
        .where(Job.kind == kind, Job.state == JobState.QUEUED, which)
        .order_by(Job.priority.desc(), Job.created_at, Job.id)
        .limit(width)
    )
    queries = [
        waiting.join(Run, Run.id == Job.run_id).with_for_update(
            of=Run, skip_locked=True, key_share=True
        )
    ]
    if kind is JobKind.EVALUATE:
        # A join of both would leave nothing to lock where there is no run.
        queries.append(
            waiting.where(Job.run_id.is_(None)).with_for_update(skip_locked=True, key_share=True)
        )
    found = [job for query in queries for job in session.execute(query)]
    return sorted(found, key=lambda job: (-job.priority, job.created_at, job.id))[:width]


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
