"""Preemption: asking workers to stop at a checkpoint because it is somebody else's turn."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.database.tables import Job
from store.jobs.claim import lock_jobs
from store.scheduling.fair_share import Rules
from store.scheduling.queue import fair_share
from store.states import JobKind, JobState
from store.workers.presence import able_workers, idle_workers

_HELD = (Job.kind == JobKind.TRAIN, Job.state == JobState.RUNNING)


def preempt(database: Database, rules: Rules) -> set[str]:
    """Preempt workers that have trained for long enough, but no more of them than others wait for.

    A worker learns of it at its next beat. A request that is no longer justified is withdrawn.

    Returns:
        The names of the workers that are asked to stop.
    """
    with database.read() as session:
        asked = set(session.scalars(select(Job.worker).where(*_HELD, Job.give_way)))
        going = _going(session, rules)
    if asked == going:
        return going
    with database.write() as session:
        going = _going(session, rules)
        lock_jobs(session, *_HELD)
        session.execute(
            update(Job).where(*_HELD).values(give_way=func.coalesce(Job.worker.in_(going), False))
        )
    return going


def _going(session: Session, rules: Rules) -> set[str]:
    # Not more jobs than this can be taken at once, so a longer count would change nothing.
    most = len(able_workers(session, JobKind.TRAIN))
    now = fair_share(session, JobKind.TRAIN, rules, most=max(1, most))
    if not now.waiting or not now.held:
        return set()
    return now.preempted(idle_workers(session, JobKind.TRAIN))
