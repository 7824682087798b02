"""Whether the service can work, looked at for all who ask at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class LastLook(Generic[T]):
    """What a look found, for some seconds; whoever asks meanwhile is told the same.

    It has a thread of its own, so that it needs none of those that all share. It belongs to one
    event loop.
    """

    def __init__(self, look: Callable[[], T], keep_seconds: Callable[[T], float]) -> None:
        self._look, self._keep_seconds = look, keep_seconds
        self._thread = CapacityLimiter(1)
        self._going_on: asyncio.Task[T] | None = None
        self._found: T | None = None
        self._until = 0.0

    async def __call__(self) -> T:
        """What is so by now, or was a moment ago."""
        if self._found is not None and time.monotonic() < self._until:
            return self._found
        if self._going_on is None:
            self._going_on = asyncio.create_task(self._look_once())
        # One who gives up must not take the look away from the others.
        return await asyncio.shield(self._going_on)

    async def _look_once(self) -> T:
        try:
            found = await to_thread.run_sync(self._look, limiter=self._thread)
            self._found, self._until = found, time.monotonic() + self._keep_seconds(found)
            return found
        finally:
            self._going_on = None
