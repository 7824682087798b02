"""Lanes: limits on how many requests do heavy work at once.

A request without a place waits in a line, and holds no thread meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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

    With a `lock` the place is the only one of all processes of the service: whoever has it holds
    the lock on this file. So it is free again when its process is killed.
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
        self._lock, self._held = lock, -1
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
                os.close(self._held)
            self._places.release()

    async def _take(self) -> None:
        await self._places.acquire()
        if self._lock is None:
            return
        try:
            while (held := _locked(self._lock)) is None:
                await asyncio.sleep(AGAIN_SECONDS)
            self._held = held
        except BaseException:
            self._places.release()
            raise


def _locked(file: Path) -> int | None:
    """The file, opened and locked until it is closed; None while another has it locked."""
    opened = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(opened)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return opened


@dataclass(frozen=True)
class Lanes:
    """The lanes of one application. Together they leave most of the forty threads free."""

    drawing: Lane
    studies: Lane
    posting: Lane
    importing: Lane
    #: A file that waits is on disk. The file that is checked is in memory.
    checking: Lane


def lanes(processes: int = 1, locks: Sequence[Path] = ()) -> Lanes:
    """The lanes of one of several processes, which share places as they share the machine.

    Where there is a single place, the processes find it by the first or second of the `locks`.
    """

    def lane(doing: str, at_once: int) -> Lane:
        return Lane(doing, -(-at_once // processes))

    def single(doing: str, number: int) -> Lane:
        return Lane(doing, 1, longest_line=16, lock=locks[number] if locks else None)

    return Lanes(
        drawing=lane("draws and decodes", 2),
        studies=lane("reads whole sweeps", 4),
        posting=lane("works out what specs ask for", 6),
        importing=single("stores data sets", 0),
        checking=single("checks files of codes", 1),
    )
