"""What the next beat of a job will carry to the database."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NamedTuple

from ml.recorder import Progress
from store.errors import StorageTrouble
from store.jobs.attempts import MEASURED
from store.jobs.heartbeat import Points
from worker.lease.job_log import Log
from worker.lease.measuring import Measuring


class Load(NamedTuple):
    """What one beat carries."""

    progress: dict[str, Any] | None
    points: Points
    record: dict[str, Any] | None


class Pending:
    """Progress, points of the curves and entries of the run's record, until a beat carries them.

    The work adds to it while a heartbeat takes from it.
    """

    def __init__(self, log: Log, energy: Callable[[], float | None]) -> None:
        #: Where the work is by its last report.
        self.progress: Progress | None = None
        self._log = log
        self._measuring = Measuring(energy)
        #: Why files cannot be kept at the moment.
        self._trouble: str | None = None
        self._lock = threading.Lock()
        self._points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        #: What the run's record is to show while it is trained; None once a beat has carried it.
        self._record: dict[str, Any] | None = None

    def hear(self, progress: Progress) -> None:
        """Take a report of where the work is."""
        self.progress = progress
        self._measuring.hear(progress.stage, progress.step)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add points to the curves."""
        with self._lock:
            for tag, value in values.items():
                self._points[tag].append((step, value))

    def note(self, record: dict[str, Any]) -> None:
        """Have the run's record show this from the next beat on."""
        self._record = record

    @property
    def has_trouble(self) -> bool:
        """Whether files cannot be kept at the moment."""
        return self._trouble is not None

    def meet(self, trouble: StorageTrouble) -> None:
        """Show why files cannot be kept, from the next beat on."""
        if self._trouble != str(trouble):
            said = "job %s cannot keep its files: %s"
            self._log.error(said, self._log.job_id, trouble)
        self._trouble = str(trouble)

    def end_trouble(self) -> None:
        """Note that files are kept again."""
        if self._trouble is not None:
            self._log.warning("job %s keeps its files again", self._log.job_id)
        self._trouble = None

    @contextmanager
    def load(self) -> Iterator[Load]:
        """What a beat inside is to carry. If the beat fails, all of it is left for the next one."""
        with self._lock:
            points, self._points = self._points, defaultdict(list)
        record = self._record
        try:
            yield Load(self._document(), points, record)
        except Exception:
            with self._lock:
                for tag, values in self._points.items():
                    points[tag].extend(values)
                self._points = points
            raise
        if self._record is record:
            self._record = None

    def _document(self) -> dict[str, Any] | None:
        """How far the work is."""
        if self.progress is None:
            return None
        document = {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(self.progress).items()
        }
        if self._trouble is not None:
            document["trouble"] = self._trouble
        measured = self._measuring.document()
        if measured is not None:
            document[MEASURED] = measured
        return document
