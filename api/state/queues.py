"""The queues, worked out of the database for many who ask, and kept for a moment."""

from __future__ import annotations

import threading
import time

from store.database.connection import Database
from store.scheduling.queue import Queue, queue
from store.settings import Settings
from store.states import JobKind

FRESH_SECONDS = 2.0
"""A queue is worked out anew no more often than this: a long one takes a second."""


class Queues:
    """The queue of each kind of work, as it was worked out last."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._lock = threading.Lock()
        self._found: dict[JobKind, tuple[float, Queue]] = {}

    def of(self, kind: JobKind, *, with_run: str | None = None) -> Queue:
        """The queue of a kind, some moments old unless it lacks the run that it is asked for."""
        with self._lock:
            when, found = self._found.get(kind, (0.0, None))
            lacks = found is not None and with_run is not None and with_run not in found.of_run
            if found is None or lacks or time.monotonic() - when > FRESH_SECONDS:
                found = queue(self._database, kind, self._settings.rules)
                self._found[kind] = (time.monotonic(), found)
            return found
