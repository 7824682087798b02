"""The heartbeat that a worker sends every second or two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, update

from store.database.connection import Database, db_now
from store.database.tables import Job, Run, Scalars
from store.errors import LeaseLost
from store.jobs.announce import lock_runs
from store.jobs.claim import Claim, still_held

#: {tag: [(step, value), …]}
Points = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat."""

    #: The worker is to stop at the next good moment and then call `acknowledge_cancel`.
    cancel_requested: bool
    #: The worker is to stop at the next checkpoint and call `release`: it is somebody else's turn.
    preempted: bool = False


def beat(
    database: Database,
    claim: Claim,
    *,
    lease_seconds: float,
    progress: dict[str, Any] | None = None,
    points: Points | None = None,
    record: dict[str, Any] | None = None,
) -> Beat:
    """Renew the lease, and record how far the work is.

    Args:
        database: where the job is.
        claim: the job that the worker holds.
        lease_seconds: how long the worker may be silent from now on.
        progress: replaces the recorded progress; None leaves it. All numbers must be finite.
        points: new points of the training curves. A value that is not finite is kept as null.
        record: replaces the record of a run in training; None leaves it.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with database.write() as session:
        if record is not None:
            # Whoever changes both locks the run before the job.
            lock_runs(session, [claim.trains])
        values: dict[str, Any] = {"lease_until": db_now() + lease_seconds}
        if progress is not None:
            values["progress"] = progress
        asked = session.execute(
            update(Job)
            .where(*still_held(claim))
            .values(values)
            .returning(Job.cancel_requested, Job.give_way)
        ).one_or_none()
        if asked is None:
            raise LeaseLost(claim.job_id, claim.fence)
        if record is not None:
            session.execute(update(Run).where(Run.id == claim.trains).values(record=record))
        steps = [step for tag in (points or {}).values() for step, _ in tag]
        if points and steps:
            session.execute(
                insert(Scalars).values(
                    run_id=claim.trains,
                    fence=claim.fence,
                    first_step=min(steps),
                    last_step=max(steps),
                    points={
                        tag: [[step, value if math.isfinite(value) else None] for step, value in p]
                        for tag, p in points.items()
                    },
                )
            )
    return Beat(cancel_requested=asked.cancel_requested, preempted=asked.give_way)
