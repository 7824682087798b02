"""The attempts at jobs: how each claim ended, and the service that its owner got by it."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.rows import insert_into, insert_rows
from store.database.tables import Attempt, Job, Served
from store.scheduling.fair_share import accrued, faded
from store.states import AttemptEnd, JobKind

MEASURED = "measured"
"""The key of a job's progress that holds what its worker measured of itself."""


_GROUP = ("owner", "kind", "priority", "short")
_OF_ATTEMPT = ("job_id", "fence", "kind", "run_id", "evaluation_id", "owner")


class Taken(NamedTuple):
    """A job that was just claimed."""

    job_id: str
    fence: int
    kind: JobKind
    run_id: str | None
    evaluation_id: str | None
    owner: str
    priority: int
    short: bool
    #: When it was claimed.
    at: float | None


def begin_attempts(
    session: Session, taken: list[Taken], *, worker: str, device_model: str | None
) -> None:
    """Record that these jobs were claimed now. Call it in the claim's transaction.

    There may be none, if other workers were faster at all of them.
    """
    insert_rows(
        session,
        Attempt,
        (
            {
                **{name: getattr(one, name) for name in _OF_ATTEMPT},
                "worker": worker,
                "device_model": device_model,
                "began_at": one.at,
            }
            for one in taken
        ),
    )


def note_turns(session: Session, taken: list[Taken]) -> None:
    """Record for each group that jobs of it were taken now.

    Call it late in the claim's transaction: the claims and ends of all workers wait for the rows
    of the groups until the transaction ends.
    """
    groups: dict[tuple[str, JobKind, int, bool], float | None] = {
        (one.owner, one.kind, one.priority, one.short): one.at for one in taken
    }
    # All claims write the groups in this order, so that none wait in a circle.
    for group, at in sorted(groups.items()):
        first = dict(zip(_GROUP, group, strict=True))
        session.execute(
            insert_into(session, Served)
            .values(**first, seconds=0.0, at=at, claimed_at=at)
            .on_conflict_do_update(index_elements=_GROUP, set_={"claimed_at": at})
        )


def end_attempt(
    session: Session,
    job_id: str,
    end: AttemptEnd,
    cause: dict[str, Any] | None = None,
) -> None:
    """Record how an attempt has ended. Call it while the job has its fence, progress and times.

    Call it late in a transaction that does much else, for the same reason as `note_turns`.
    """
    job = session.execute(
        select(
            Job.fence,
            Job.kind,
            Job.owner,
            Job.priority,
            Job.short,
            Job.claimed_at,
            Job.together,
            Job.progress,
            db_now().label("now"),
        ).where(Job.id == job_id)
    ).one()
    now = job.now
    progress = dict(job.progress or {})
    measured = progress.pop(MEASURED, None)
    session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.fence == job.fence)
        .values(
            ended_at=now,
            end=end,
            cause=cause,
            together=job.together,
            measured=measured,
        )
    )
    if measured is not None:
        # The next attempt may end before it has measured anything.
        session.execute(update(Job).where(Job.id == job_id).values(progress=progress))
    this = (
        Served.owner == job.owner,
        Served.kind == job.kind,
        Served.priority == job.priority,
        Served.short == job.short,
    )
    before = session.execute(
        select(Served.seconds, Served.at).where(*this).with_for_update()
    ).one_or_none()
    if before is not None and job.claimed_at is not None:
        seconds = faded(before.seconds, now - before.at)
        seconds += accrued(now - job.claimed_at) / job.together
        session.execute(update(Served).where(*this).values(seconds=seconds, at=now))
