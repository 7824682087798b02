"""Keeping a claim alive: each beat renews it, and refused or unanswered beats lose it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from sqlalchemy.exc import TimeoutError

from store.database.outages import DATABASE_OUTAGE
from store.errors import LeaseLost
from store.jobs.claim import Claim
from store.jobs.finish import acknowledge_cancel
from store.jobs.heartbeat import beat
from worker.lease.heart import heart
from worker.lease.job_log import Log, job_log
from worker.lease.patience import patiently
from worker.lease.pending import Pending
from worker.process.stores import Stores

T = TypeVar("T")


class Renewal:
    """Renews the lease of a claim, whenever `worker.lease.heart` or the work itself asks for it.

    Every beat carries what is pending in one transaction, and brings back whether the job is to
    stop. The lease is lost when the database refuses a beat because the job has moved on. It is
    also lost when the database could not be reached for as long as the lease lasts. The work
    notices at its next step.
    """

    def __init__(self, stores: Stores, claim: Claim, pending: Pending, log: Log) -> None:
        self._stores, self._claim, self._pending, self._log = stores, claim, pending, log
        # Held from the moment that points are taken until they are recorded or put back.
        self._beating = threading.Lock()
        self._cancelled = False
        #: Whether the work is to stop at a checkpoint because it is somebody else's turn.
        self.preempted = False
        self._lost = threading.Event()
        self._loss: Exception = LeaseLost(claim.job_id, claim.fence)
        #: Whether a beat waits for the database's answer.
        self._asking = False
        #: The outage that the last beat met, if it met one.
        self._outage: Exception | None = None
        self._over = threading.Event()
        self._renewed = time.monotonic()

    def begin(self) -> None:
        """Have the heart of the process renew the lease from now on."""
        heart().add(self)

    def end(self) -> None:
        """Stop the renewal."""
        self._over.set()
        heart().remove(self)
        with self._beating:
            pass  # This waits for a beat that is under way, which is the last.

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to renew, as the job is done or was given back."""
        return self._over.is_set()

    def check(self) -> None:
        """Raise the cause of the loss, if the lease is lost."""
        if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
            # Beats may hang, or wait for those of another lease.
            self._lose()
        if self._lost.is_set():
            raise self._loss

    def flush(self) -> None:
        """Record now what the next beat would have carried. Raises `LeaseLost`."""
        with self._beating:
            self._beat()

    def finish(self, write: Callable[[], object]) -> None:
        """Do the write that ends the job; no beat follows it."""
        with self._beating:
            write()
            self._over.set()

    def patiently(self, write: Callable[[], T]) -> T:
        """Try a write again while the database is away, for as long as a lease lasts.

        If the lease is lost meanwhile, the cause of the loss is raised.
        """
        return patiently(write, self._stores.settings, self.wait)

    def wait(self, seconds: float) -> None:
        """Wait. If the lease is lost meanwhile, raise the cause of the loss."""
        if self._lost.wait(seconds):
            raise self._loss

    @property
    def beat_seconds(self) -> float:
        return self._stores.settings.beat_seconds

    def beat_or_lose(self) -> bool:
        """Beat once. Returns whether the lease is lost for good while the work has not ended yet.

        A lease that ran out because the database is away is not lost for good. No other worker can
        take the job meanwhile, and afterwards this one may still be able to queue it again.
        """
        if not self._is_refused():
            if not self._beating.acquire(blocking=False):
                # The work itself is writing. Other leases must not wait for that.
                return False
            try:
                if not self._over.is_set():
                    self._beat()
            except LeaseLost as lost:
                self._lose(lost)
            # Every error counts: a worker whose beats fail must know that.
            except Exception as error:
                self._log.warning("a beat did not reach the database: %s", error)
                if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
                    self._lose()
            finally:
                self._beating.release()
        return self._is_refused() and not self._over.is_set()

    @property
    def wants_cancel(self) -> bool:
        """Whether somebody has asked for the job to be cancelled."""
        return self._cancelled

    @property
    def cancelled(self) -> bool:
        return self._cancelled and not self._over.is_set()

    def stop_by_force(self) -> None:
        """Acknowledge the cancellation in place of the work, which does not notice it.

        If that cannot be written, the reaper ends the job as it does for a killed worker.
        """
        with suppress(LeaseLost, *DATABASE_OUTAGE):
            acknowledge_cancel(self._stores.database, self._claim)
        job_log.keep(self._stores.database, self._claim)

    def _beat(self) -> None:
        began = time.monotonic()
        self._asking = True
        try:
            with self._pending.load() as load:
                answer = beat(
                    self._stores.database,
                    self._claim,
                    lease_seconds=self._stores.settings.lease_seconds,
                    progress=load.progress,
                    points=load.points,
                    record=load.record,
                )
        except Exception as error:
            self._outage = error if isinstance(error, DATABASE_OUTAGE) else None
            raise
        finally:
            self._asking = False
        self._outage = None
        self._renewed = began
        job_log.keep(self._stores.database, self._claim)
        self._cancelled = answer.cancel_requested
        self.preempted = answer.preempted

    def _is_refused(self) -> bool:
        return self._lost.is_set() and isinstance(self._loss, LeaseLost)

    def _lose(self, lost: LeaseLost | None = None) -> None:
        """Note that the lease is lost: to another worker (`lost`), or because no beat came through.

        In the second case the cause may be the database.
        """
        if lost is not None:
            self._loss = lost
        if not self._over.is_set() and not self._lost.is_set():
            if lost is None and (self._outage or self._asking):
                self._loss = self._outage or TimeoutError("the database does not answer a beat")
            self._lost.set()
            self._log.error("lost the lease of job %s; stopping", self._claim.job_id)
