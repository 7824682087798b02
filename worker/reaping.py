"""The reaper's task: expired leases, hints for waiting jobs, and now and then a collection."""

from __future__ import annotations

import logging
import time

from store.database.outages import DATABASE_OUTAGE
from store.jobs.preemption import preempt
from store.jobs.reaper import reap
from store.states import JobKind
from store.workers.presence import idle_workers
from worker.collecting import collect_when_due
from worker.process.stores import stores

logger = logging.getLogger(__name__)

MOST_HINTS = 16
"""The most hints of a kind in one pass of the reaper, unless more workers are idle. A worker may
be idle that has not reported its presence yet."""


_spared_until = 0.0


def reap_now() -> dict[JobKind, int]:
    """Take expired leases back. Returns how many hints to send for each kind of job.

    While the database was away or read-only, leases ran out that nobody could renew. So after an
    outage no lease is taken back for as long as one lasts. Meanwhile workers may renew their
    leases or queue their jobs themselves.
    """
    global _spared_until
    collect_when_due()
    here = stores()
    spare = time.monotonic() < _spared_until
    try:
        reaped = reap(here.database, max_losses=here.settings.max_losses, spare=spare)
        going = preempt(here.database, here.settings.rules)
        with here.database.read() as session:
            idle = {kind: idle_workers(session, kind) for kind in JobKind}
    except DATABASE_OUTAGE as error:
        _spared_until = time.monotonic() + here.settings.lease_seconds
        logger.warning("nothing is reaped, as the database is away: %s", error)
        return {}
    if going:
        logger.info("preempted for whoever's turn it is: %s", ", ".join(sorted(going)))
    if reaped.requeued or reaped.failed or reaped.cancelled:
        logger.warning(
            "leases ran out: %d jobs queued again, %d failed, %d cancelled",
            reaped.requeued,
            reaped.failed,
            reaped.cancelled,
        )
    return {
        kind: min(waiting, max(MOST_HINTS, idle[kind])) for kind, waiting in reaped.waiting.items()
    }
