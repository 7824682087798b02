"""Whether requests can be served: a check of the database, the broker and the object folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select

from api.documents.base import Document
from api.state.hints import Hints
from store.database.connection import Database
from store.database.outages import DATABASE_OUTAGE, outage_reason
from store.errors import StorageTrouble
from store.files.folders import check_mark
from store.files.objects import ObjectFolder

PROBE_BYTES = 4096
"""The size of a disk block. Writing one finds a disk that has no room for it."""

OK_SECONDS = 2.0
TROUBLE_SECONDS = 0.5
"""How long an answer is repeated. Clients that wait for the service to come up ask all the time."""

Answer = Literal["ok", "unreachable"]
T = TypeVar("T")


class Readiness(Document):
    """Whether requests can be served."""

    database: Answer
    """If it is unreachable, the service is not ready (503)."""
    broker: Answer
    """If it is unreachable, requests are served and work is recorded. The work starts when the
    broker is back."""
    storage: str
    """`ok`, or why files cannot be written. Requests that need no files are served."""


def look(database: Database, hints: Hints, objects: ObjectFolder) -> Readiness:
    """Ask the database and the broker, and write a block to the object folder for a moment."""
    try:
        with database.read() as session:
            session.execute(select(1))
        answers: Answer = "ok"
    except DATABASE_OUTAGE:
        answers = "unreachable"
    return Readiness(
        database=answers,
        broker="ok" if hints.reachable() else "unreachable",
        storage=_storage(database, objects),
    )


def keep_seconds(found: Readiness) -> float:
    """How long this answer may be repeated."""
    good = found.database == found.broker == found.storage == "ok"
    return OK_SECONDS if good else TROUBLE_SECONDS


def _storage(database: Database, objects: ObjectFolder) -> str:
    try:
        check_mark(database, objects)
        objects.check_writable(PROBE_BYTES)
    except StorageTrouble as trouble:
        return str(trouble)
    except DATABASE_OUTAGE as error:
        return f"The database {outage_reason(error)}, so that nobody knows whose the folder is."
    return "ok"


class LastLook(Generic[T]):
    """The result of the last look, which is repeated for some seconds.

    It looks in a thread of its own, so that it needs none of the shared threads. It belongs to one
    event loop.
    """

    def __init__(self, look: Callable[[], T], keep_seconds: Callable[[T], float]) -> None:
        self._look, self._keep_seconds = look, keep_seconds
        self._thread = CapacityLimiter(1)
        self._going_on: asyncio.Task[T] | None = None
        self._found: T | None = None
        self._until = 0.0

    async def __call__(self) -> T:
        """The result of a new look, or of the last one if that is recent."""
        if self._found is not None and time.monotonic() < self._until:
            return self._found
        if self._going_on is None:
            self._going_on = asyncio.create_task(self._look_once())
        # A request that is cancelled must not cancel the look, for which others wait.
        return await asyncio.shield(self._going_on)

    async def _look_once(self) -> T:
        try:
            found = await to_thread.run_sync(self._look, limiter=self._thread)
            self._found, self._until = found, time.monotonic() + self._keep_seconds(found)
            return found
        finally:
            self._going_on = None
