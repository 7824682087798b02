"""Heavy work a few at a time: whoever finds no place waits in a line, and holds no thread there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LONGEST_LINE = 100
PATIENCE_SECONDS = 30.0


class TooBusy(Exception):
    """The service does such work for others; come back in a moment."""

    def __init__(self, doing: str, at_once: int) -> None:
        super().__init__(f"The service {doing} for {at_once} others at the moment. Try again.")


class Lane:
    """Work of one kind, for so many requests at once. It belongs to one event loop.

    A request comes here before it takes a thread: what waits for one of the threads that all share
    would else make everybody wait who only has to look something up.
    """

    def __init__(self, doing: str, at_once: int, *, longest_line: int = LONGEST_LINE) -> None:
        self._doing, self._at_once, self._longest_line = doing, at_once, longest_line
        self._places = asyncio.Semaphore(at_once)
        self._line = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places.

        Raises:
            TooBusy: at once where too many wait already, or when none is free in half a minute.
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
    """The lanes of one application. Together they leave most of the forty threads to others."""

    drawing: Lane = field(default_factory=lambda: Lane("draws and decodes", 2))
    studies: Lane = field(default_factory=lambda: Lane("reads whole sweeps", 4))
    posting: Lane = field(default_factory=lambda: Lane("works out what specs ask for", 6))
    #: Files that wait lie on the disk, and one that is looked at in memory.
    checking: Lane = field(
        default_factory=lambda: Lane("checks files of codes", 1, longest_line=16)
    )
