"""One poll of the database for all requests that wait for events or for work to end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from anyio import CapacityLimiter, to_thread

from store.database.connection import Database
from store.database.outages import DATABASE_OUTAGE
from store.queries import last_position
from store.queries.under_way import Work, under_way

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
GATHER_SECONDS = 0.01
"""Requests that come within this time share one look."""
WITHOUT_EVENTS_SECONDS = 1.0
"""The interval of looks at work that has no events, as evaluations of files."""
STREAMS_READ = 4


class EventHub:
    """Wakes the requests that wait for events, and those that wait for work to end.

    It looks at the database only while a request waits, in a thread of its own. It belongs to one
    event loop. A waiting request holds neither a thread nor a connection of the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listening: dict[asyncio.Event, int] = {}
        self._watching: dict[asyncio.Event, tuple[Work, str]] = {}
        self._unseen: set[asyncio.Event] = set()
        """The watchers whose work was not looked at yet."""
        self._come = asyncio.Event()
        self._thread = CapacityLimiter(1)
        self.reading = CapacityLimiter(STREAMS_READ)
        """Limits the streams that read at once. A thousand may wake at one event."""
        self._looking: asyncio.Task[None] | None = None
        self._last = -1
        self._all_seen = 0.0

    async def wait(self, after: int, seconds: float) -> None:
        """Return when there is an event after this position, at the latest after these seconds."""
        woken = asyncio.Event()
        self._listening[woken] = after
        try:
            await self._woken(woken, seconds)
        finally:
            del self._listening[woken]

    async def ended(self, work: Work, id: str, seconds: float) -> None:
        """Return when this work has ended, at the latest after these seconds.

        Work that does not exist counts as ended.
        """
        woken = asyncio.Event()
        self._watching[woken] = (work, id)
        self._unseen.add(woken)
        self._come.set()
        try:
            await self._woken(woken, seconds)
        finally:
            del self._watching[woken]
            self._unseen.discard(woken)

    async def _woken(self, woken: asyncio.Event, seconds: float) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        with suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)

    async def _look(self) -> None:
        warned = False
        try:
            while self._listening or self._watching:
                try:
                    await self._look_once()
                    warned = False
                except DATABASE_OUTAGE as error:
                    if not warned:
                        logger.warning("no events can be read: %s", error)
                    warned = True
                    await asyncio.sleep(LOOK_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._come.wait(), LOOK_SECONDS)
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._looking = None

    async def _look_once(self) -> None:
        self._come.clear()
        now = asyncio.get_running_loop().time()
        last = await to_thread.run_sync(last_position, self._database, limiter=self._thread)
        for woken, after in self._listening.items():
            if last > after:
                woken.set()
        everything = last != self._last or now - self._all_seen >= WITHOUT_EVENTS_SECONDS
        watching = {
            woken: what
            for woken, what in self._watching.items()
            if everything or woken in self._unseen
        }
        if watching:
            left = await to_thread.run_sync(
                under_way, self._database, set(watching.values()), limiter=self._thread
            )
            for woken, what in watching.items():
                self._unseen.discard(woken)
                if what not in left:
                    woken.set()
        if everything:
            self._last, self._all_seen = last, now
