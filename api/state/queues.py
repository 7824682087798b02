"""The queues of jobs, read from the database and cached for a moment for all requests."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict

from store.database.connection import Database
from store.database.uncollected import uncollected
from store.scheduling.queue import Place, Queue, queue
from store.settings import Settings
from store.states import JobKind

FRESH_SECONDS = 2.0
"""The time for which a queue is cached. A long queue takes a second to work out."""


class Standing:
    """A queue, and what is before each place in it, without a look at every place before it."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._served = {one.owner: one.served for one in queue.owners}
        #: The positions of the jobs of each priority, in rising order.
        self._positions: dict[int, list[int]] = defaultdict(list)
        #: The first position of each owner's jobs of a priority.
        self._first: dict[int, dict[str, int]] = defaultdict(dict)
        for place in queue.places:
            self._positions[place.priority].append(place.position)
            self._first[place.priority].setdefault(place.owner, place.position)

    def higher(self, place: Place) -> int:
        """How many jobs of a higher priority are before a place."""
        return sum(
            bisect_left(positions, place.position)
            for priority, positions in self._positions.items()
            if priority > place.priority
        )

    def less_served(self, place: Place) -> list[str]:
        """The owners with jobs of its priority before a place who had less service than its own."""
        served = self._served[place.owner]
        return sorted(
            owner
            for owner, first in self._first[place.priority].items()
            if first < place.position and self._served[owner] < served
        )


class Queues:
    """The cached queue of each kind of job."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._lock = threading.Lock()
        self._found: dict[JobKind, tuple[float, Standing]] = {}

    def of(self, kind: JobKind, *, with_run: str | None = None) -> Standing:
        """The queue of a kind. It may be two seconds old, unless it lacks the run `with_run`."""
        with self._lock:
            when, found = self._found.get(kind, (0.0, None))
            lacks = found and with_run is not None and with_run not in found.queue.of_run
            if found is None or lacks or time.monotonic() - when > FRESH_SECONDS:
                with uncollected():
                    found = Standing(queue(self._database, kind, self._settings.rules))
                self._found[kind] = (time.monotonic(), found)
            return found
