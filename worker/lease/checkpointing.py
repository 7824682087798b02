"""Checkpoints of a job, and files that it keeps on its way, each written under its fence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from ml.networks import tensor_file
from ml.recorder import Checkpoint, NotKept
from store.database.outages import DATABASE_OUTAGE
from store.errors import LeaseLost, StorageTrouble
from store.files.checkpoint_folder import Checkpoint as RecordedCheckpoint
from store.files.folders import check_mark
from store.jobs.checkpoints import checkpoints, record_checkpoint, unnamed_paths
from store.jobs.claim import Claim
from store.jobs.finish import keep_artifacts
from worker.lease.files import NewFile, put
from worker.lease.job_log import Log
from worker.lease.pending import Pending
from worker.lease.progress_log import ProgressLog
from worker.lease.renewal import Renewal
from worker.process.stores import Stores


class Checkpointing:
    """Keeps the checkpoints of a run, and finds the newest good one."""

    def __init__(
        self,
        stores: Stores,
        claim: Claim,
        *,
        pending: Pending,
        renewal: Renewal,
        log: Log,
        progress_log: ProgressLog,
    ) -> None:
        self._stores, self._claim = stores, claim
        self._pending, self._renewal = pending, renewal
        self._log, self._progress_log = log, progress_log

    def restore(self) -> Checkpoint | None:
        """The newest checkpoint whose file is whole; damaged or missing ones are passed over.

        Raises:
            StorageAway: if a file is missing because the whole folder is.
        """
        for row in checkpoints(self._stores.database, self._claim.trains):
            data = self._content(row)
            if data is not None:
                tensors, document = tensor_file.from_bytes(data)
                self._log.info("goes on from step %d", row.step)
                return Checkpoint(row.step, tensors, document)
            said = "checkpoint %s is damaged or gone; trying the one before"
            self._log.warning(said, row.path)
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

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint's file, record the curves up to it, then record the checkpoint.

        Raises:
            NotKept: if the folder does not take the file.
            LeaseLost: if the job is no longer this worker's.
        """
        data = tensor_file.to_bytes(checkpoint.tensors, checkpoint.document)
        claim, began = self._claim, time.monotonic()
        patiently = self._renewal.patiently
        try:
            path, sha256, size = patiently(lambda: self._write(checkpoint.step, data))
        except StorageTrouble as trouble:
            self._pending.meet(trouble)
            raise NotKept(str(trouble)) from trouble
        self._pending.end_trouble()
        self._progress_log.log_checkpoint(checkpoint.step, size, time.monotonic() - began)
        try:
            # The curves come first: an attempt that goes on from here does not compute them again.
            patiently(self._renewal.flush)
            forgotten = patiently(
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
            # The checkpoint may have been recorded although the answer was lost. Then another
            # worker goes on from it, and the file must stay.
            with suppress(*DATABASE_OUTAGE):
                self._discard(unnamed_paths(self._stores.database, [path]))
            raise
        self._discard(forgotten)

    def keep_file(self, file: NewFile) -> None:
        """Record a file as the run's artifact now. If the folder takes none, it is left out."""
        try:
            self._renewal.patiently(lambda: self._keep(file))
        except StorageTrouble as trouble:
            self._log.warning("%s is not kept: %s", file.name, trouble)

    def _keep(self, file: NewFile) -> None:
        artifacts = put(self._stores, [file])
        keep_artifacts(self._stores.database, self._claim, artifacts)

    def _write(self, step: int, data: bytes) -> tuple[str, str, int]:
        folder = self._stores.checkpoints
        check_mark(self._stores.database, folder)
        return folder.write(self._claim.trains, self._claim.fence, step, data)

    def _discard(self, paths: Sequence[str]) -> None:
        # A file that cannot be deleted now is removed with the run's folder.
        with suppress(OSError):
            self._stores.checkpoints.remove(paths)
