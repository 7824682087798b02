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

from sqlalchemy.exc import TimeoutError

from ml.networks import tensor_file
from ml.recorder import Checkpoint, NotKept, Progress, Wish, continue_or_stop
from store.database.outages import DATABASE_OUTAGE
from store.errors import LeaseLost, StorageTrouble
from store.files.artifact_names import snapshot
from store.files.checkpoint_folder import Checkpoint as RecordedCheckpoint
from store.files.curves import Curves, curves
from store.files.folders import check_mark
from store.jobs.attempts import MEASURED
from store.jobs.checkpoints import checkpoints, record_checkpoint, unnamed_paths
from store.jobs.claim import Claim
from store.jobs.finish import NewArtifact, acknowledge_cancel, keep_artifacts
from store.jobs.heartbeat import beat
from worker.lease.files import TENSORS, NewFile, put
from worker.lease.heart import heart
from worker.lease.job_log import job_log
from worker.lease.measuring import Measuring
from worker.lease.patience import patiently
from worker.process import draining
from worker.process.stores import Stores

logger = logging.getLogger(__name__)

T = TypeVar("T")

BEATS_BETWEEN_TRIES = 10
"""What a job leaves and cannot be kept is tried again after so many beats."""
TELL_SECONDS = 30.0
"""Where a stage is, and a checkpoint, is logged no more often than this."""
TELL_SHARE = 0.02
"""Nor than after so much of the time that has passed: days of training are some hundred lines."""
MOST_PUTS = 3
"""So often files are put until that takes less than a lease lasts."""


class Lease:
    """A claim kept alive: the recorder (`ml.recorder.Recorder`) of a job.

    Every beat (`worker.lease.heart`) carries progress and new points of the curves in one
    transaction, and brings back whether somebody cancelled. When the database refuses a beat
    because the job has moved on, or could not be reached for as long as the lease lasts, the work
    is told to stop at its next step. A process that holds no good lease any more ends by force
    after one more beat; one that does, when nothing of its work is heard of for ten seconds. What
    the work itself writes waits for the database for as long as the lease lasts, and for the
    folders of files without end, as nobody else could write there either.
    """

    def __init__(
        self, stores: Stores, claim: Claim, *, energy: Callable[[], float | None] = lambda: None
    ) -> None:
        self.claim = claim
        self._stores = stores
        self._lock = threading.Lock()
        # Held from when points are taken until they are recorded or put back.
        self._beating = threading.Lock()
        self._progress: Progress | None = None
        self._measuring = Measuring(energy)
        self._points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        #: What the run's record is to have before it is trained, until a beat has carried it.
        self._record: dict[str, Any] | None = None
        #: The stage that was logged last, and when; when a checkpoint was.
        self._told = ("", 0.0)
        self._told_checkpoint = -math.inf
        self._began = time.monotonic()
        self._cancelled = False
        self._preempted = False
        #: Why files cannot be kept at the moment.
        self._trouble: str | None = None
        self._lost = threading.Event()
        self._loss: Exception = LeaseLost(claim.job_id, claim.fence)
        #: Whether a beat waits for the database's answer; what the last one met, if it failed.
        self._asking = False
        self._outage: Exception | None = None
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
            with suppress(LeaseLost, *DATABASE_OUTAGE):
                self.flush()

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint whose file is what was recorded; damaged ones are passed over.

        Raises:
            StorageAway: if one is missing because the whole folder is.
        """
        for row in checkpoints(self._stores.database, self.claim.trains):
            data = self._content(row)
            if data is not None:
                tensors, document = tensor_file.from_bytes(data)
                self._log(logging.INFO, "goes on from step %d", row.step)
                return Checkpoint(row.step, tensors, document)
            said = "checkpoint %s is damaged or gone; trying the one before"
            self._log(logging.WARNING, said, row.path)
        return None

    def _content(self, row: RecordedCheckpoint) -> bytes | None:
        folder = self._stores.checkpoints
        try:
            data = folder.read_whole(row)
        except OSError:
            check_mark(self._stores.database, folder)
            raise
        if data is None:
            check_mark(self._stores.database, folder)
        return data

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        data = tensor_file.to_bytes(checkpoint.tensors, checkpoint.document)
        claim, began = self.claim, time.monotonic()
        try:
            path, sha256, size = self._patiently(lambda: self._write(checkpoint.step, data))
        except StorageTrouble as trouble:
            self._meet(trouble)
            raise NotKept(str(trouble)) from trouble
        self._over_with_trouble()
        self._tell_checkpoint(checkpoint.step, size, time.monotonic() - began)
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
            # It may have been recorded though nobody heard so, and others go on from there.
            with suppress(*DATABASE_OUTAGE):
                self._discard(unnamed_paths(self._stores.database, [path]))
            raise
        self._discard(forgotten)

    def snapshot(self, step: int, weights: bytes) -> None:
        file = NewFile(snapshot(step), TENSORS, weights)
        try:
            self._patiently(lambda: self._keep(file))
        except StorageTrouble as trouble:
            self._log(logging.WARNING, "no snapshot of step %d: %s", step, trouble)

    def _keep(self, file: NewFile) -> None:
        artifacts = put(self._stores, [file])
        keep_artifacts(self._stores.database, self.claim, artifacts)

    def _write(self, step: int, data: bytes) -> tuple[str, str, int]:
        folder = self._stores.checkpoints
        check_mark(self._stores.database, folder)
        return folder.write(self.claim.trains, self.claim.fence, step, data)

    def _discard(self, paths: Sequence[str]) -> None:
        # What cannot be deleted now goes with the run's folder.
        with suppress(OSError):
            self._stores.checkpoints.remove(paths)

    def _meet(self, trouble: StorageTrouble) -> None:
        """Show why files cannot be kept, from the next beat on."""
        if self._trouble != str(trouble):
            said = "job %s cannot keep its files: %s"
            self._log(logging.ERROR, said, self.claim.job_id, trouble)
        self._trouble = str(trouble)

    def _over_with_trouble(self) -> None:
        if self._trouble is not None:
            self._log(logging.WARNING, "job %s keeps its files again", self.claim.job_id)
        self._trouble = None

    def conclude(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile] = ()
    ) -> None:
        """Record the rest of the curves, then keep files and do the write that ends the job.

        `write` gets the artifacts that the files have become. Every try puts them anew: between
        its being kept and its being recorded nothing speaks for a file, so that time is short.
        While they cannot be kept, the job is held and its progress tells why. No beat follows.

        Raises:
            LeaseLost: if the job is no longer this worker's; `write` was refused.
            Stopped: if that was wished while files could not be kept.
        """
        self._patiently(self.flush)
        while not self._over.is_set():
            try:
                self._patiently(lambda: self._end(write, files))
            except StorageTrouble as trouble:
                self._meet(trouble)
                self._wait_to_try_again()

    def _wait_to_try_again(self) -> None:
        # Not at once: what is tried takes the room that others may still find.
        for _ in range(BEATS_BETWEEN_TRIES):
            self._wait(self.beat_seconds)
            if self._progress is not None:
                continue_or_stop(self.progress(self._progress))

    def _end(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile]
    ) -> None:
        for _ in range(MOST_PUTS):
            began = time.monotonic()
            artifacts = put(self._stores, files)
            # A folder that hung between two of them may have let the first grow old enough to be
            # collected.
            if time.monotonic() - began < self._stores.settings.lease_seconds:
                break
        if self._trouble is not None:
            self._over_with_trouble()
            self.flush()
        with self._beating:
            write(artifacts)
            self._over.set()

    def curves(self) -> Curves:
        """All points so far. Raises `LeaseLost`."""
        self._patiently(self.flush)
        here = self._stores
        return self._patiently(lambda: curves(here.database, here.objects, self.claim.trains))

    def note(self, record: dict[str, Any]) -> None:
        """Have the run's record show this from the next beat on, until the run is trained."""
        self._record = record

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with self._lock:
            for tag, value in values.items():
                self._points[tag].append((step, value))

    def progress(self, progress: Progress) -> Wish:
        heart().hear()
        self._progress = progress
        self._measuring.hear(progress.stage, progress.step)
        self._tell(progress)
        if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
            # Beats that hang, or are held up by another lease's.
            self._lose()
        if self._lost.is_set():
            raise self._loss
        if self._cancelled:
            return Wish.CANCEL
        # What follows training is short, and would begin again.
        preempted = self._preempted and progress.stage in ("preparing", "training")
        return Wish.PAUSE if preempted or draining.under_way() else Wish.CONTINUE

    def _tell(self, progress: Progress) -> None:
        """Log the stages, and where training is now and then."""
        now = time.monotonic()
        if progress.stage == self._told[0] and not self._is_due(self._told[1], now):
            return
        begun = progress.stage != self._told[0]
        self._told = progress.stage, now
        numbers = ""
        if progress.loss is not None:
            numbers += f", loss {progress.loss:.6g}"
        if progress.images_per_second:
            numbers += f", {progress.images_per_second:.0f} images/s"
        self._log(
            logging.INFO,
            "%s%s, %d of %d%s",
            progress.stage,
            " begins" if begun else "",
            progress.step,
            progress.steps,
            numbers,
        )

    def _tell_checkpoint(self, step: int, size: int, seconds: float) -> None:
        """Log that one was kept, now and then."""
        now = time.monotonic()
        if self._is_due(self._told_checkpoint, now):
            self._told_checkpoint = now
            self._log(
                logging.INFO, "checkpoint at step %d, %d bytes in %.2f s", step, size, seconds
            )

    def _is_due(self, told: float, now: float) -> bool:
        return now - told >= max(TELL_SECONDS, TELL_SHARE * (now - self._began))

    def _log(self, level: int, message: str, *values: object) -> None:
        """A line of this job's own log, and of the worker's."""
        logger.log(level, message, *values, extra={"job_id": self.claim.job_id})

    def flush(self) -> None:
        """Record what the next beat would have carried. Raises `LeaseLost`."""
        with self._beating:
            self._beat()

    def _beat(self) -> None:
        with self._lock:
            points, self._points = self._points, defaultdict(list)
        record = self._record
        began = time.monotonic()
        self._asking = True
        try:
            answer = beat(
                self._stores.database,
                self.claim,
                lease_seconds=self._stores.settings.lease_seconds,
                progress=self._document(),
                points=points,
                record=record,
            )
        except Exception as error:
            self._outage = error if isinstance(error, DATABASE_OUTAGE) else None
            with self._lock:
                for tag, values in self._points.items():
                    points[tag].extend(values)
                self._points = points
            raise
        finally:
            self._asking = False
        self._outage = None
        self._renewed = began
        if self._record is record:
            self._record = None
        job_log.keep(self._stores.database, self.claim)
        self._cancelled = answer.cancel_requested
        self._preempted = answer.preempted

    def _document(self) -> dict[str, Any] | None:
        """How far the work is, as the next beat tells it."""
        if self._progress is None:
            return None
        document = {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(self._progress).items()
        }
        if self._trouble is not None:
            document["trouble"] = self._trouble
        measured = self._measuring.document()
        if measured is not None:
            document[MEASURED] = measured
        return document

    @property
    def beat_seconds(self) -> float:
        return self._stores.settings.beat_seconds

    def beat_or_lose(self) -> bool:
        """One beat; whether the lease is lost for good and the work has not ended yet.

        One that ran out because the database is away is not: while it is, nobody else can take the
        job, and afterwards it may still be ours to queue again.
        """
        if not self._is_refused():
            if not self._beating.acquire(blocking=False):
                # The work is writing itself. Other leases must not wait until it has.
                return False
            try:
                if not self._over.is_set():
                    self._beat()
            except LeaseLost as lost:
                self._lose(lost)
            # Whatever it is: a worker without a heartbeat must know that it has none.
            except Exception as error:
                self._log(logging.WARNING, "a beat did not reach the database: %s", error)
                if time.monotonic() - self._renewed > self._stores.settings.lease_seconds:
                    self._lose()
            finally:
                self._beating.release()
        return self._is_refused() and not self._over.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled and not self._over.is_set()

    def stop_by_force(self) -> None:
        """Acknowledge the cancellation in place of the work, which hears nothing.

        What cannot be written is the reaper's, as for a worker that was killed.
        """
        with suppress(LeaseLost, *DATABASE_OUTAGE):
            acknowledge_cancel(self._stores.database, self.claim)
        job_log.keep(self._stores.database, self.claim)

    def _is_refused(self) -> bool:
        return self._lost.is_set() and isinstance(self._loss, LeaseLost)

    def _lose(self, lost: LeaseLost | None = None) -> None:
        """The job is `lost` to another worker, or to a silence whose cause may be the database."""
        if lost is not None:
            self._loss = lost
        if not self._over.is_set() and not self._lost.is_set():
            if lost is None and (self._outage or self._asking):
                self._loss = self._outage or TimeoutError("the database does not answer a beat")
            self._lost.set()
            self._log(logging.ERROR, "lost the lease of job %s; stopping", self.claim.job_id)

    def _patiently(self, write: Callable[[], T]) -> T:
        return patiently(write, self._stores.settings, self._wait)

    def _wait(self, seconds: float) -> None:
        if self._lost.wait(seconds):
            raise self._loss
