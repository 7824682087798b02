"""Lanes: limits on how many requests do heavy work at once.

A request without a place waits in a line, and holds no thread meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LONGEST_LINE = 100
PATIENCE_SECONDS = 30.0


class TooBusy(Exception):
    """The service does as much of this work at once as it may. Try again in a moment."""

    def __init__(self, doing: str, at_once: int) -> None:
        super().__init__(f"The service {doing} for {at_once} others at the moment. Try again.")


class Lane:
    """Heavy work of one kind, for `at_once` requests at a time. It belongs to one event loop.

    A request takes its place before it takes a thread. Heavy requests that waited in the shared
    threads would hold up the requests that only look something up.
    """

    def __init__(self, doing: str, at_once: int, *, longest_line: int = LONGEST_LINE) -> None:
        self._doing, self._at_once, self._longest_line = doing, at_once, longest_line
        self._places = asyncio.Semaphore(at_once)
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
                await self._places.acquire()
        except TimeoutError:
            raise TooBusy(self._doing, self._at_once) from None
        finally:
            self._line -= 1
        try:
            yield
        finally:
            self._places.release()


@dataclass(frozen=True)
class Lanes:
    """The lanes of one application. Together they leave most of the forty threads free."""

    drawing: Lane = field(default_factory=lambda: Lane("draws and decodes", 2))
    studies: Lane = field(default_factory=lambda: Lane("reads whole sweeps", 4))
    posting: Lane = field(default_factory=lambda: Lane("works out what specs ask for", 6))
    importing: Lane = field(default_factory=lambda: Lane("stores data sets", 1, longest_line=16))
    #: A file that waits is on disk. The file that is checked is in memory.
    checking: Lane = field(
        default_factory=lambda: Lane("checks files of codes", 1, longest_line=16)
    )
