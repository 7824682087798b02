"""The heartbeat: one thread of a process that beats for every job that the process holds."""

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
"""A process that has lost some of its leases ends by force when no work is heard of for so long."""

STOP_SECONDS = 4.0
"""Work that is all cancelled ends by force when nothing is heard of it for so long: within a long
fit of scikit-learn it hears nothing itself."""

LEAST_SECONDS = 1.0
"""Work whose process has lost all of its leases has a beat's time to end, but no less than this."""


class Beating(Protocol):
    """What a heart beats for."""

    @property
    def beat_seconds(self) -> float:
        """From one beat to the next."""

    @property
    def cancelled(self) -> bool:
        """Whether the work is to stop for good, and has not ended yet."""

    def beat_or_lose(self) -> bool:
        """One beat; whether the job is lost and its work has not ended yet."""

    def stop_by_force(self) -> None:
        """Say that the work has stopped, since its process is about to end."""


class Heart:
    """Beats for its leases one after the other, for as long as there are any.

    One thread for all, so that the leases of a cohort are renewed together and, when the process
    dies, run out together.
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
        """Beat no more for a lease."""
        with self._lock:
            self._leases.remove(lease)
            if not self._leases:
                self._wake.set()

    def hear(self) -> None:
        """The work shows that it goes on."""
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
                # A neighbour's work must not be lost because a step is long.
                or now - silent_since > GRACE_SECONDS
            ):
                # Whatever the work writes would be refused, but it holds the device.
                os._exit(1)
            if now - self._heard > STOP_SECONDS:
                self._end_cancelled(leases)
            self._wake.wait(beat_seconds)
            self._wake.clear()

    def _end_cancelled(self, leases: list[Beating]) -> None:
        """End the process, if nobody wants any of its work."""
        if not all(lease.cancelled for lease in leases):
            return
        logger.warning("work that is cancelled does not stop; its process ends")
        for lease in leases:
            lease.stop_by_force()
        os._exit(1)

    def _alive(self) -> list[Beating]:
        """The leases there are; without any the thread is over, and the next lease starts one."""
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
