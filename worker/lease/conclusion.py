"""The write that ends a job, and the files that belong to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ml.recorder import Progress, Wish, continue_or_stop
from store.errors import StorageTrouble
from store.jobs.finish import NewArtifact
from worker.lease.files import NewFile, put
from worker.lease.pending import Pending
from worker.lease.renewal import Renewal
from worker.process.stores import Stores

BEATS_BETWEEN_TRIES = 10
"""When a job's files could not be kept, they are tried again after so many beats."""
MOST_PUTS = 3
"""The files are put at most so often, until one pass takes less time than a lease lasts."""


class Conclusion:
    """Keeps a job's files and does the write that ends the job, until the folder takes the files.

    While it waits, it calls `hear` with the job's progress. The answer is what is wished of the
    job.
    """

    def __init__(
        self, stores: Stores, pending: Pending, renewal: Renewal, hear: Callable[[Progress], Wish]
    ) -> None:
        self._stores, self._pending, self._renewal, self._hear = stores, pending, renewal, hear

    def conclude(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile]
    ) -> None:
        """Record the rest of the curves, then keep the files and do the write."""
        renewal = self._renewal
        renewal.patiently(renewal.flush)
        while not renewal.is_over:
            try:
                renewal.patiently(lambda: self._end(write, files))
            except StorageTrouble as trouble:
                self._pending.meet(trouble)
                self._wait_to_try_again()

    def _wait_to_try_again(self) -> None:
        # Not at once: a try takes up room for a moment, and others may need that room.
        for _ in range(BEATS_BETWEEN_TRIES):
            self._renewal.wait(self._renewal.beat_seconds)
            if self._pending.progress is not None:
                continue_or_stop(self._hear(self._pending.progress))

    def _end(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile]
    ) -> None:
        for _ in range(MOST_PUTS):
            began = time.monotonic()
            artifacts = put(self._stores, files)
            # If the folder hung between two files, the first may be old enough by now to be
            # collected. So all are put again.
            if time.monotonic() - began < self._stores.settings.lease_seconds:
                break
        if self._pending.has_trouble:
            self._pending.end_trouble()
            self._renewal.flush()
        self._renewal.finish(lambda: write(artifacts))
