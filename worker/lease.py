"""Holding a job while working on it: progress, curves, checkpoints, being stopped."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, TypeVar

from ml import tensor_file
from ml.recorder import Checkpoint, Progress, Wish
from store.beat import beat
from store.checkpoints import checkpoints, record_checkpoint
from store.claim import Claim
from store.curves import Curves, curves
from store.errors import LeaseLost
from store.finish import NewArtifact
from worker import draining
from worker.files import NewFile, put
from worker.heart import heart
from worker.patience import DATABASE_AWAY, patiently
from worker.stores import Stores

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Lease:
    """A claim kept alive: the recorder (`ml.recorder.Recorder`) of a job.

    Every beat (`worker.heart`) carries progress and new points of the curves in one transaction,
    and brings back whether somebody cancelled. When the database refuses a beat because the job has
    moved on, or could not be reached for as long as the lease lasts, the work is told to stop at
    its next step; if nothing of this process's work is heard of for ten seconds after that, the
    process ends. What the work itself writes waits for the database for as long.
    """

    def __init__(self, stores: Stores, claim: Claim) -> None:
        self.claim = claim
        self._stores = stores
        self._lock = threading.Lock()
        # Held from when points are taken until they are recorded or put back.
        self._beating = threading.Lock()
        self._progress: Progress | None = None
        self._points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self._cancelled = False
        self._lost = threading.Event()
        self._over = threading.Event()
        self._renewed = time.monotonic()

    def __enter__(self) -> Lease:
        heart().add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        heart().remove(self)
        with self._beating:
            pass  # A beat under way is the last.
        if error is not None and not isinstance(error, LeaseLost):
            # The curves up to an error are what one looks at to understand it.
            with suppress(LeaseLost, *DATABASE_AWAY):
                self.flush()

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint whose file is what was recorded; damaged ones are passed over."""
        for row in checkpoints(self._stores.database, self.claim.trains):
            data = self._stores.checkpoints.read_whole(row)
            if data is not None:
                tensors, document = tensor_file.from_bytes(data)
                return Checkpoint(row.step, tensors, document)
            logger.warning("checkpoint %s is damaged or gone; trying the one before", row.path)
        return None

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        data = tensor_file.to_bytes(checkpoint.tensors, checkpoint.document)
        claim, folder = self.claim, self._stores.checkpoints
        path, sha256, size = folder.write(claim.trains, claim.fence, checkpoint.step, data)
        try:
            # First the curves: whoever goes on from here will not draw them again.
            self._patiently(self.flush)
            forgotten = self._patiently(
                lambda: record_checkpoint(
                    self._stores.database,
                    claim,
                    step=checkpoint.step,
                    path=path,
                    sha256=sha256,
                    size=size,
                    width=checkpoint.document["width"],
                    device_model=checkpoint.document["history"][-1]["device_model"],
                )
            )
        except LeaseLost:
            folder.remove([path])
            raise
        folder.remove(forgotten)

    def conclude(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile] = ()
    ) -> None:
        """Record the rest of the curves, then keep files and do the write that ends the job.

        `write` gets the artifacts that the files have become. Every try puts them anew: between
        its being kept and its being recorded nothing speaks for a file, so that time is short. No
        beat follows.

        Raises:
            LeaseLost: if the job is no longer this worker's; `write` was refused.
        """
        self._patiently(self.flush)
        self._patiently(lambda: self._end(write, files))

    def _end(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile]
    ) -> None:
        artifacts = put(self._stores, files)
        with self._beating:
            write(artifacts)
            self._over.set()

    def curves(self) -> Curves:
        """All points so far. Raises `LeaseLost`."""
        self._patiently(self.flush)
        here = self._stores
        return self._patiently(lambda: curves(here.database, here.objects, self.claim.trains))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with self._lock:
            for tag, value in values.items():
                self._points[tag].append((step, value))

    def progress(self, progress: Progress) -> Wish:
        heart().hear()
        self._progress = progress
        if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
            # Beats that hang, or are held up by another lease's.
            self._lose()
        if self._lost.is_set():
            raise LeaseLost(self.claim.job_id, self.claim.fence)
        if self._cancelled:
            return Wish.CANCEL
        return Wish.PAUSE if draining.under_way() else Wish.CONTINUE

    def flush(self) -> None:
        """Record what the next beat would have carried. Raises `LeaseLost`."""
        with self._beating:
            self._beat()

    def _beat(self) -> None:
        with self._lock:
            points, self._points = self._points, defaultdict(list)
        began = time.monotonic()
        try:
            answer = beat(
                self._stores.database,
                self.claim,
                lease_seconds=self._stores.settings.lease_seconds,
                progress=_document(self._progress) if self._progress else None,
                points=points,
            )
        except Exception:
            with self._lock:
                for tag, values in self._points.items():
                    points[tag].extend(values)
                self._points = points
            raise
        self._renewed = began
        self._cancelled = answer.cancel_requested

    @property
    def beat_seconds(self) -> float:
        return self._stores.settings.beat_seconds

    def beat_or_lose(self) -> bool:
        """One beat; whether the lease is lost and the work has not ended yet."""
        if not self._lost.is_set():
            if not self._beating.acquire(blocking=False):
                # The work is writing itself. Other leases must not wait until it has.
                return False
            try:
                if not self._over.is_set():
                    self._beat()
            except LeaseLost:
                self._lose()
            # Whatever it is: a worker without a heartbeat must know that it has none.
            except Exception as error:
                logger.warning("a beat did not reach the database: %s", error)
                if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
                    self._lose()
            finally:
                self._beating.release()
        return self._lost.is_set() and not self._over.is_set()

    def _lose(self) -> None:
        if not self._over.is_set():
            self._lost.set()
            logger.error("lost the lease of job %s; stopping", self.claim.job_id)

    def _patiently(self, write: Callable[[], T]) -> T:
        return patiently(write, self._stores.settings, self._wait)

    def _wait(self, seconds: float) -> None:
        if self._lost.wait(seconds):
            raise LeaseLost(self.claim.job_id, self.claim.fence)


def _document(progress: Progress) -> dict[str, Any]:
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else None
        for name, value in asdict(progress).items()
    }
