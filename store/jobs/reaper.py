"""The reaper: taking jobs back from workers that have fallen silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.tables import Job
from store.jobs.announce import announcing
from store.jobs.transitions import Ending, end_job, put_back
from store.states import AttemptEnd, JobKind, JobState

COUNTED = 1_000
"""Waiting jobs are counted up to so many: nobody needs more hints than there are workers."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What the reaper did, and how many jobs wait after it."""

    requeued: int
    failed: int
    #: How many of the jobs were to be cancelled anyway.
    cancelled: int
    #: How many jobs of each kind wait, counted up to `COUNTED`. If any do, a hint is worth sending.
    waiting: dict[JobKind, int]


def reap(database: Database, *, max_losses: int, spare: bool = False) -> Reaped:
    """Queue every job again whose lease has run out. After `max_losses` losses it fails instead.

    A job that keeps killing its workers fails with the error `WorkerLost`. Several reapers may run
    at once, and beside workers. With `spare` no job is taken back this time, as workers could not
    renew their leases for a while.
    """
    expired = [] if spare else _expired(database)
    outcomes = [_take_back(database, job, max_losses) for job in expired]
    with database.read() as session:
        waiting = {kind: _waiting(session, kind) for kind in JobKind}
    return Reaped(
        requeued=outcomes.count("queued"),
        failed=outcomes.count("failed"),
        cancelled=outcomes.count("cancelled"),
        waiting=waiting,
    )


def _waiting(session: Session, kind: JobKind) -> int:
    some = select(Job.id).where(Job.state == JobState.QUEUED, Job.kind == kind).limit(COUNTED)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


class _Expired(NamedTuple):
    job_id: str
    run_id: str | None
    evaluation_id: str | None
    fence: int


def _expired(database: Database) -> list[_Expired]:
    with database.read() as session:
        rows = session.execute(
            select(Job.id, Job.run_id, Job.evaluation_id, Job.fence).where(
                Job.state == JobState.RUNNING, Job.lease_until < db_now()
            )
        ).all()
    return [_Expired(*row) for row in rows]


def _take_back(
    database: Database, job: _Expired, max_losses: int
) -> Literal["queued", "failed", "cancelled"] | None:
    """Take one expired job from its worker. Returns None if it was renewed or ended meanwhile."""
    job_id, run_id, evaluation_id, fence = job
    with database.write() as session, announcing(session, [run_id]):
        found = session.execute(
            update(Job)
            .where(
                Job.id == job_id,
                Job.fence == fence,
                Job.state == JobState.RUNNING,
                Job.lease_until < db_now(),
            )
            .values(lease_until=None)
            .returning(Job.losses, Job.cancel_requested, Job.worker, Job.progress)
        ).one_or_none()
        if found is None:
            return None
        losses, cancel_requested, worker, progress = found
        if losses + 1 < max_losses and not cancel_requested:
            put_back(
                session,
                job_id=job_id,
                run_id=run_id,
                evaluation_id=evaluation_id,
                end=AttemptEnd.LOST,
                cause={"type": "WorkerLost", "message": f"{worker} fell silent."},
            )
            return "queued"
        ending: Ending = "cancelled" if cancel_requested else "failed"
        end_job(
            session,
            job_id=job_id,
            run_id=run_id,
            evaluation_id=evaluation_id,
            ending=ending,
            error=None if cancel_requested else _worker_lost(losses + 1, worker, progress),
        )
        return ending


def _worker_lost(
    losses: int, worker: str | None, progress: dict[str, Any] | None
) -> dict[str, Any]:
    step = (progress or {}).get("step")
    where = "" if step is None else f" The last one had come to step {step}."
    return {
        "type": "WorkerLost",
        "message": f"{losses} workers fell silent while they worked on this, "
        f"the last of them {worker}.{where}",
        "advice": "Look for the cause in the worker's log and the machine's: most often memory ran "
        "out and the system killed the worker, or the device failed. With too little memory, use a "
        "smaller training.batch_size or a machine with more. Then resume it: training goes on "
        "from its newest checkpoint.",
    }
