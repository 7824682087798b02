"""How things stand in the queue: who waits, who is worked for, who was served."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.tables import Job, Served
from store.scheduling.fair_share import FairShare, Held, Rules, Share, Waiting
from store.states import JobKind, JobState


def fair_share(session: Session, kind: JobKind, rules: Rules) -> FairShare:
    """The fair share among the jobs of a kind, as they are at this moment."""
    now = session.scalar(select(db_now()))
    assert now is not None
    waiting = session.execute(
        select(Job.owner, Job.priority, Job.short, func.min(Job.created_at), func.count())
        .where(Job.state == JobState.QUEUED, Job.kind == kind)
        .group_by(Job.owner, Job.priority, Job.short)
    )
    held = session.execute(
        select(Job.worker, Job.owner, Job.priority, Job.short, Job.claimed_at, Job.together).where(
            Job.state == JobState.RUNNING, Job.kind == kind
        )
    )
    served = (Served.owner, Served.priority, Served.short)
    shares = session.execute(
        select(*served, Served.seconds, Served.at, Served.claimed_at).where(Served.kind == kind)
    )
    return FairShare(
        now,
        rules,
        [Waiting(*row) for row in waiting],
        [
            # A job that has been taken has both.
            Held(worker or "", owner, priority, short, since or now, together)
            for worker, owner, priority, short, since, together in held
        ],
        [Share(*row) for row in shares],
    )
