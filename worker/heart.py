"""The heartbeat: one thread of a process that beats for every job that the process holds."""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Protocol

GRACE_SECONDS = 10.0
"""A process that has lost a lease ends by force when its work is not heard of for so long."""


class Beating(Protocol):
    """What a heart beats for."""

    @property
    def beat_seconds(self) -> float:
        """From one beat to the next."""

    def beat_or_lose(self) -> bool:
        """One beat; whether the job is lost and its work has not ended yet."""


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
        lost_since: float | None = None
        while leases := self._alive():
            began = time.monotonic()
            lost = [lease for lease in leases if lease.beat_or_lose()]
            if lost:
                lost_since = lost_since or began
                if time.monotonic() - max(lost_since, self._heard) > GRACE_SECONDS:
                    # Whatever the work writes would be refused, but it holds the device.
                    os._exit(1)
            else:
                lost_since = None
            self._wake.wait(min(lease.beat_seconds for lease in leases))
            self._wake.clear()

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
