"""The reaper: leases that ran out, hints for what waits, and now and then a collection."""

from __future__ import annotations

import logging
import time

from store.database.outages import DATABASE_OUTAGE
from store.jobs.preemption import preempt
from store.jobs.reaper import reap
from store.states import JobKind
from worker.collecting import collect_when_due
from worker.process.stores import stores

logger = logging.getLogger(__name__)

MOST_HINTS = 16
"""Hints of a kind that the reaper sends at once: enough to wake every worker of a large server."""


_spared_until = 0.0


def reap_now() -> dict[JobKind, int]:
    """Take expired leases back; returns how many hints to send for each kind of job.

    After the database was away or could not be written, leases have run out that nobody could
    renew: for as long as one lasts, workers may do so, or queue their jobs by themselves.
    """
    global _spared_until
    collect_when_due()
    here = stores()
    spare = time.monotonic() < _spared_until
    try:
        reaped = reap(here.database, max_losses=here.settings.max_losses, spare=spare)
        going = preempt(here.database, here.settings.rules)
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
    return {kind: min(waiting, MOST_HINTS) for kind, waiting in reaped.waiting.items()}
