"""The sweep: leases that ran out, and hints for what waits."""

from __future__ import annotations

import logging

from store.states import JobKind
from store.sweep import sweep
from worker.stores import stores

logger = logging.getLogger(__name__)

MOST_HINTS = 16
"""Hints of a kind that one sweep sends: enough to wake every worker of a large server."""


def sweep_now() -> dict[JobKind, int]:
    """Take expired leases back; returns how many hints to send for each kind of job."""
    here = stores()
    swept = sweep(here.database, max_losses=here.settings.max_losses)
    if swept.requeued or swept.failed or swept.cancelled:
        logger.warning(
            "leases ran out: %d jobs queued again, %d failed, %d cancelled",
            swept.requeued,
            swept.failed,
            swept.cancelled,
        )
    return {kind: min(waiting, MOST_HINTS) for kind, waiting in swept.waiting.items()}
