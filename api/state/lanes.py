"""Lanes: limits on how many requests do heavy work at once.

A request without a place waits in a line, and holds no thread meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

LONGEST_LINE = 100
PATIENCE_SECONDS = 30.0
AGAIN_SECONDS = 0.1
"""The interval at which a place that another process may have is tried for."""


class TooBusy(Exception):
    """The service does as much of this work at once as it may. Try again in a moment."""

    def __init__(self, doing: str, at_once: int) -> None:
        super().__init__(f"The service {doing} for {at_once} others at the moment. Try again.")


class Lane:
    """Heavy work of one kind, for `at_once` requests at a time. It belongs to one event loop.

    A request takes its place before it takes a thread. Heavy requests that waited in the shared
    threads would hold up the requests that only look something up.

    With a `lock` the place is the only one of all processes of the service. It is a file's, so it
    is free again when its process is killed.
    """

    def __init__(
        self,
        doing: str,
        at_once: int,
        *,
        longest_line: int = LONGEST_LINE,
        lock: Path | None = None,
    ) -> None:
        self._doing, self._at_once, self._longest_line = doing, at_once, longest_line
        self._places = asyncio.Semaphore(at_once)
        self._lock = None if lock is None else FileLock(lock, thread_local=False)
        self._line = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places.

        Raises:
            TooBusy: the line is full, or no place became free within half a minute.
        """
        if self._places.locked() and self._line >= self._longest_line:
            raise TooBusy(self._doing, self._at_once)
        self._line += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._take()
        except TimeoutError:
            raise TooBusy(self._doing, self._at_once) from None
        finally:
            self._line -= 1
        try:
            yield
        finally:
            if self._lock is not None:
                self._lock.release()
            self._places.release()

    async def _take(self) -> None:
        await self._places.acquire()
        if self._lock is None:
            return
        try:
            while not _taken(self._lock):
                await asyncio.sleep(AGAIN_SECONDS)
        except BaseException:
            self._places.release()
            raise


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


@dataclass(frozen=True)
class Lanes:
    """The lanes of one application. Together they leave most of the forty threads free."""

    drawing: Lane
    studies: Lane
    posting: Lane
    importing: Lane
    #: A file that waits is on disk. The file that is checked is in memory.
    checking: Lane


def lanes(processes: int = 1, folder: Path | None = None) -> Lanes:
    """The lanes of one of several processes, which share places as they share the machine.

    Where there is a single place, the processes find it by a lock in the `folder`.
    """

    def lane(doing: str, at_once: int) -> Lane:
        return Lane(doing, -(-at_once // processes))

    def single(doing: str, name: str) -> Lane:
        lock = None
        if processes > 1 and folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            lock = folder / f".{name}.lock"
        return Lane(doing, 1, longest_line=16, lock=lock)

    return Lanes(
        drawing=lane("draws and decodes", 2),
        studies=lane("reads whole sweeps", 4),
        posting=lane("works out what specs ask for", 6),
        importing=single("stores data sets", "importing"),
        checking=single("checks files of codes", "checking"),
    )
