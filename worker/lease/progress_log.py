"""Where a job is, in its log: each stage, and training and checkpoints now and then."""

from __future__ import annotations

import math
import time

from ml.recorder import Progress
from worker.lease.job_log import Log

TELL_SECONDS = 30.0
"""Where a stage is, and a checkpoint, is logged no more often than this."""
TELL_SHARE = 0.02
"""Nor than after so much of the time that has passed: days of training are some hundred lines."""


class ProgressLog:
    """Logs what the work tells, as seldom as people want to read it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began = time.monotonic()
        #: The stage that was logged last, and when; when a checkpoint was.
        self._told = ("", 0.0)
        self._told_checkpoint = -math.inf

    def tell(self, progress: Progress) -> None:
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
        self._log.info(
            "%s%s, %d of %d%s",
            progress.stage,
            " begins" if begun else "",
            progress.step,
            progress.steps,
            numbers,
        )

    def tell_checkpoint(self, step: int, size: int, seconds: float) -> None:
        """Log that one was kept, now and then."""
        now = time.monotonic()
        if self._is_due(self._told_checkpoint, now):
            self._told_checkpoint = now
            self._log.info("checkpoint at step %d, %d bytes in %.2f s", step, size, seconds)

    def _is_due(self, told: float, now: float) -> bool:
        return now - told >= max(TELL_SECONDS, TELL_SHARE * (now - self._began))
