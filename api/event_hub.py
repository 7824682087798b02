"""One look at the database for all who wait for something to happen."""

from __future__ import annotations

import asyncio
import logging

from anyio import to_thread

from store.away import DATABASE_AWAY
from store.database import Database
from store.queries import last_position

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class EventHub:
    """Wakes those who wait for events; it looks for them only while somebody does.

    It belongs to one event loop. Who waits holds neither a thread nor a connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[asyncio.Event, int] = {}
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, after: int, seconds: float) -> None:
        """Return when there is an event after this position, or after so many seconds."""
        woken = asyncio.Event()
        self._waiting[woken] = after
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait_for(woken.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            del self._waiting[woken]

    async def _look(self) -> None:
        try:
            while self._waiting:
                try:
                    last = await to_thread.run_sync(last_position, self._database)
                except DATABASE_AWAY as error:
                    logger.warning("no events can be read: %s", error)
                else:
                    for woken, after in self._waiting.items():
                        if last > after:
                            woken.set()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._looking = None
