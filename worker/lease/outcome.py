"""The outer edge of a job: however the work ends, that is recorded in the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ml.recorder import Stopped, Wish
from ml.training.packing import is_out_of_memory
from store.database.outages import DATABASE_OUTAGE
from store.errors import LeaseLost, StorageTrouble
from store.jobs.claim import Claim
from store.jobs.finish import acknowledge_cancel, fail, release
from worker.lease.job_log import Log, job_log
from worker.lease.patience import patiently
from worker.process import draining
from worker.process.stores import Stores

logger = logging.getLogger(__name__)


_SMALLER = (
    "use a smaller training.batch_size, a smaller model, or fewer rows to evaluate; where several"
    " runs are trained side by side, HEDDLE_COHORT_WIDTH of the worker makes them fewer"
)


class MayBeAnother(Exception):
    """An error stopped several jobs that were done together, and any of them may be the cause."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")


@contextmanager
def recorded(stores: Stores, claim: Claim) -> Iterator[None]:
    """Record how the work inside ended, unless it recorded its own success.

    A pause queues the job again. A cancellation ends it. An error fails it with the cause. After a
    lost lease nothing is recorded, as another worker has the job. If a folder or the database is
    away, the job is not to blame and is queued again. After an exception that ends the process, as
    a signal to all processes of a service does, the job is queued again and the exception goes on.

    All other errors are logged and not raised. Celery would hand them to its parent process, which
    would import their classes and torch with them. The lines logged inside are kept for the job.
    """
    log = Log(claim.job_id)
    with job_log.of(stores.database, claim):
        try:
            with _recorded(stores, claim):
                yield
        except LeaseLost as lost:
            log.error("%s", lost)
        except DATABASE_OUTAGE:
            log.exception("the database is away; job %s waits for it", claim.job_id)
            _give_back(stores, claim)


@contextmanager
def _recorded(stores: Stores, claim: Claim) -> Iterator[None]:
    log = Log(claim.job_id)
    try:
        yield
    except (LeaseLost, *DATABASE_OUTAGE):
        raise
    except Stopped as stopped:
        end = acknowledge_cancel if stopped.wish is Wish.CANCEL else release
        how = "cancelled" if stopped.wish is Wish.CANCEL else "let go, to be taken up again"
        log.info("job %s is %s", claim.job_id, how)
        patiently(lambda: end(stores.database, claim), stores.settings)
    except StorageTrouble as trouble:
        log.error("job %s is queued again: %s", claim.job_id, trouble)
        cause = {"type": type(trouble).__name__, "message": str(trouble)}
        patiently(lambda: release(stores.database, claim, cause=cause), stores.settings)
    except MayBeAnother as stopped:
        log.warning("job %s is tried again: %s", claim.job_id, stopped)
        cause = {"type": "BrokenTogether", "message": str(stopped)}
        patiently(lambda: release(stores.database, claim, lost=True, cause=cause), stores.settings)
    except Exception as error:
        log.exception("job %s failed", claim.job_id)
        found = error_document(error)
        patiently(lambda: fail(stores.database, claim, found), stores.settings)
    except (SystemExit, KeyboardInterrupt):
        # One try only: whoever ends the process will not wait. If the job cannot be queued now, the
        # reaper takes it back.
        with suppress(Exception):
            release(stores.database, claim)
        raise


def _give_back(stores: Stores, claim: Claim) -> None:
    """Queue a job again as soon as the database is back.

    This process could do nothing else meanwhile. If it did not wait, the reaper would count the job
    as lost.
    """
    while not draining.under_way():
        try:
            release(stores.database, claim)
        except LeaseLost as lost:
            logger.error("%s", lost)
        except DATABASE_OUTAGE:
            time.sleep(stores.settings.beat_seconds)
            continue
        return


def error_document(error: Exception) -> dict[str, Any]:
    """An error as a run's document shows it."""
    kind, advice = type(error).__name__, getattr(error, "advice", None)
    if is_out_of_memory(error):
        # Each library has its own class for this error, or none.
        kind, advice = "OutOfMemory", _SMALLER
    return {"type": kind, "message": str(error)[:2000], "advice": advice}
