"""Which processes take jobs, by what they say of themselves."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.tables import Job, Trouble, Worker
from store.states import JobKind, JobState
from store.workers.troubles import STALE_SECONDS as STALE_TROUBLE_SECONDS

STALE_SECONDS = 60.0
"""A worker that has not said that it is there for longer is gone."""


def able_workers(session: Session, kind: JobKind) -> set[str]:
    """The workers that do jobs of a kind or would: those in trouble are left out."""
    now = db_now()
    troubled = select(Trouble.worker).where(Trouble.seen_at > now - STALE_TROUBLE_SECONDS)
    here = session.scalars(
        select(Worker.name).where(
            Worker.kind == kind,
            Worker.seen_at > now - STALE_SECONDS,
            Worker.name.not_in(troubled),
        )
    )
    working = session.scalars(
        select(Job.worker).where(Job.kind == kind, Job.state == JobState.RUNNING).distinct()
    )
    return {name for name in (*here, *working) if name is not None}


def idle_workers(session: Session, kind: JobKind) -> int:
    """How many of them have nothing to do."""
    busy = session.scalar(
        select(func.count(Job.worker.distinct())).where(
            Job.kind == kind, Job.state == JobState.RUNNING
        )
    )
    return len(able_workers(session, kind)) - (busy or 0)
