"""Holding a job while working on it: progress, curves, checkpoints, and requests to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from ml.recorder import Checkpoint, Progress, Wish
from store.database.outages import DATABASE_OUTAGE
from store.errors import LeaseLost
from store.files.artifact_names import snapshot
from store.files.curves import Curves, curves
from store.jobs.claim import Claim
from store.jobs.finish import NewArtifact
from worker.lease.checkpointing import Checkpointing
from worker.lease.conclusion import Conclusion
from worker.lease.files import TENSORS, NewFile
from worker.lease.heart import heart
from worker.lease.job_log import Log
from worker.lease.pending import Pending
from worker.lease.progress_log import ProgressLog
from worker.lease.renewal import Renewal
from worker.process import draining
from worker.process.stores import Stores


class Lease:
    """A claim kept alive: the recorder (`ml.recorder.Recorder`) of a job.

    What the work reports is pending (`worker.lease.pending`) until a beat (`worker.lease.renewal`)
    carries it to the database. When a process has lost all of its leases, it ends by force one
    beat later. When it has lost only some, it ends by force once its work has reported nothing for
    ten seconds (`worker.lease.heart`). The work's own writes wait for the database for as long as
    the lease lasts. They wait for the folders of files without end, as no other worker could write
    there either.
    """

    def __init__(
        self, stores: Stores, claim: Claim, *, energy: Callable[[], float | None] = lambda: None
    ) -> None:
        self.claim = claim
        self._stores = stores
        log = Log(claim.job_id)
        self._progress_log = ProgressLog(log)
        self._pending = Pending(log, energy)
        self._renewal = Renewal(stores, claim, self._pending, log)
        self._checkpointing = Checkpointing(
            stores,
            claim,
            pending=self._pending,
            renewal=self._renewal,
            log=log,
            progress_log=self._progress_log,
        )

    def __enter__(self) -> Lease:
        self._renewal.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._renewal.end()
        if error is not None and not isinstance(error, LeaseLost):
            # People look at the curves up to an error to understand it.
            with suppress(LeaseLost, *DATABASE_OUTAGE):
                self.flush()

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint whose file is whole; damaged or missing ones are passed over.

        Raises:
            StorageAway: if a file is missing because the whole folder is.
        """
        return self._checkpointing.restore()

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpointing.keep(checkpoint)

    def snapshot(self, step: int, weights: bytes) -> None:
        self.keep(NewFile(snapshot(step), TENSORS, weights))

    def keep(self, file: NewFile) -> None:
        """Record a file as the run's artifact now, while the work goes on.

        If it cannot be kept, it is left out: the work does without it, or makes it again.

        Raises:
            LeaseLost: if the job is no longer this worker's.
        """
        self._checkpointing.keep_file(file)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._pending.add(step, values)

    def note(self, record: dict[str, Any]) -> None:
        """Have the run's record show this from the next beat on, until the run is trained."""
        self._pending.note(record)

    def progress(self, progress: Progress) -> Wish:
        heart().hear()
        self._pending.hear(progress)
        self._progress_log.log(progress)
        self._renewal.check()
        if self._renewal.wants_cancel:
            return Wish.CANCEL
        # The stages after training are short, and would have to begin again.
        preempted = self._renewal.preempted and progress.stage in ("preparing", "training")
        return Wish.PAUSE if preempted or draining.under_way() else Wish.CONTINUE

    def curves(self) -> Curves:
        """All points so far. Raises `LeaseLost`."""
        here, patiently = self._stores, self._renewal.patiently
        patiently(self.flush)
        return patiently(lambda: curves(here.database, here.objects, self.claim.trains))

    def flush(self) -> None:
        """Record now what the next beat would have carried. Raises `LeaseLost`."""
        self._renewal.flush()

    def conclude(
        self, write: Callable[[Sequence[NewArtifact]], object], files: Sequence[NewFile] = ()
    ) -> None:
        """Record the rest of the curves, then keep files and do the write that ends the job.

        `write` gets the artifacts that were made of the files. Every try puts the files again,
        since no row names a file before it is recorded, and that time must be short. While the
        files cannot be kept, the job stays held and its progress shows the reason. No beat follows.

        Raises:
            LeaseLost: if the job is no longer this worker's; `write` was refused.
            Stopped: if that was wished while files could not be kept.
        """
        conclusion = Conclusion(self._stores, self._pending, self._renewal, self.progress)
        conclusion.conclude(write, files)
