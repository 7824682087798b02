"""The heartbeat: one thread of a process renews the leases of all jobs that the process holds."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from functools import cache
from typing import Protocol

logger = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""A process that has lost some of its leases ends by force if its work reports nothing for so
long."""

STOP_SECONDS = 4.0
"""A process whose jobs are all cancelled ends by force if its work reports nothing for so long. In
the middle of a long fit of scikit-learn, work cannot notice that it is cancelled."""

LEAST_SECONDS = 1.0
"""When a process has lost all of its leases, its work gets one beat's time to end, and at least
this."""


class Beating(Protocol):
    """A lease, as the heart sees it."""

    @property
    def beat_seconds(self) -> float:
        """The time from one beat to the next."""

    @property
    def cancelled(self) -> bool:
        """Whether the work is to stop for good, and has not ended yet."""

    def beat_or_lose(self) -> bool:
        """Beat once. Returns whether the job is lost while its work has not ended yet."""

    def stop_by_force(self) -> None:
        """Record that the work has stopped, as its process is about to end."""


class Heart:
    """Beats for its leases one after the other, for as long as there are any.

    One thread serves all leases. So the leases of a cohort are renewed together, and they run out
    together when the process dies.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: list[Beating] = []
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._heard = time.monotonic()

    def add(self, lease: Beating) -> None:
        """Beat for a lease from now on."""
        self.hear()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._beats, name="heartbeat", daemon=True)
                thread.start()
                self._thread = thread
            self._leases.append(lease)

    def remove(self, lease: Beating) -> None:
        """Stop beating for a lease."""
        with self._lock:
            self._leases.remove(lease)
            if not self._leases:
                self._wake.set()

    def hear(self) -> None:
        """Take a sign that the work goes on."""
        self._heard = time.monotonic()

    def _beats(self) -> None:
        some_since = all_since = math.inf
        while leases := self._alive():
            beat_seconds = min(lease.beat_seconds for lease in leases)
            lost = [lease for lease in leases if lease.beat_or_lose()]
            now = time.monotonic()
            some_since = min(some_since, now) if lost else math.inf
            all_since = min(all_since, now) if len(lost) == len(leases) else math.inf
            silent_since = max(some_since, self._heard)
            if (
                now - all_since >= max(beat_seconds, LEAST_SECONDS)
                # One long step must not cost the neighbours in a cohort their work.
                or now - silent_since > GRACE_SECONDS
            ):
                # The database would refuse whatever the work writes, but the work holds the device.
                os._exit(1)
            if now - self._heard > STOP_SECONDS:
                self._end_cancelled(leases)
            self._wake.wait(beat_seconds)
            self._wake.clear()

    def _end_cancelled(self, leases: list[Beating]) -> None:
        """End the process if all of its jobs are cancelled."""
        if not all(lease.cancelled for lease in leases):
            return
        logger.warning("work that is cancelled does not stop; its process ends")
        for lease in leases:
            lease.stop_by_force()
        os._exit(1)

    def _alive(self) -> list[Beating]:
        """The present leases. If there are none, the thread ends, and the next lease starts one."""
        with self._lock:
            if not self._leases:
                self._thread = None
            return list(self._leases)


@cache
def _of_process(_pid: int) -> Heart:
    return Heart()


def heart() -> Heart:
    """The heart of this process; a forked child gets its own."""
    return _of_process(os.getpid())
