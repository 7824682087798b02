"""The queues of jobs, read from the database and cached for a moment for all requests."""

from __future__ import annotations

import threading
import time

from store.database.connection import Database
from store.scheduling.queue import Queue, queue
from store.settings import Settings
from store.states import JobKind

FRESH_SECONDS = 2.0
"""The time for which a queue is cached. A long queue takes a second to work out."""


class Queues:
    """The cached queue of each kind of job."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._lock = threading.Lock()
        self._found: dict[JobKind, tuple[float, Queue]] = {}

    def of(self, kind: JobKind, *, with_run: str | None = None) -> Queue:
        """The queue of a kind. It may be two seconds old, unless it lacks the run `with_run`."""
        with self._lock:
            when, found = self._found.get(kind, (0.0, None))
            lacks = found is not None and with_run is not None and with_run not in found.of_run
            if found is None or lacks or time.monotonic() - when > FRESH_SECONDS:
                found = queue(self._database, kind, self._settings.rules)
                self._found[kind] = (time.monotonic(), found)
            return found
