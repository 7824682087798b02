"""Taking the job whose turn it is."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from store.claim import Claim, claim
from store.states import JobKind
from worker.outcome import recorded
from worker.stores import Stores, stores, worker_name

logger = logging.getLogger(__name__)


def work_on_next(kind: JobKind, threads: int, work: Callable[[Stores, Claim], None]) -> bool:
    """Claim the next job of a kind, work on it, and record how it ended; False when none waits.

    `threads` are torch's. What goes wrong is recorded and not raised.
    """
    here = stores()
    claims = claim(
        here.database, kind, worker=worker_name(), lease_seconds=here.settings.lease_seconds
    )
    if not claims:
        return False
    (taken,) = claims
    subject = taken.run_id or taken.evaluation_id
    logger.info("%s of %s, attempt %d, begins", kind.value, subject, taken.attempts)
    torch.set_num_threads(threads)
    with recorded(here, taken):
        work(here, taken)
    return True
