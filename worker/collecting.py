"""Collecting what nothing refers to, beside the sweeps."""

from __future__ import annotations

import logging
import threading

from store.collect import collect
from worker.stores import Stores, stores

logger = logging.getLogger(__name__)

LEASES = 4
"""The grace of files in leases: within less, a worker has recorded a file or has lost its job."""

_alone = threading.Lock()


def collect_soon() -> threading.Thread:
    """Collect in a thread of its own, as a large folder takes longer than sweeps may wait.

    One that is going on is enough: the other ends at once.
    """
    # Nothing is lost when the process ends with it.
    thread = threading.Thread(target=_collect, args=[stores()], name="collect", daemon=True)
    thread.start()
    return thread


def _collect(here: Stores) -> None:
    if not _alone.acquire(blocking=False):
        return
    try:
        found = collect(
            here.database,
            here.objects,
            here.checkpoints,
            grace_seconds=max(
                here.settings.collect_grace_seconds, LEASES * here.settings.lease_seconds
            ),
        )
        if found.runs or found.bytes:
            logger.info(
                "collected %d runs, %d checkpoints, %d objects, %d bytes",
                found.runs,
                found.checkpoints,
                found.objects,
                found.bytes,
            )
    except Exception:
        # The next one goes on where this one stopped.
        logger.exception("the collection was broken off")
    finally:
        _alone.release()
