"""The progress of a job in its log: each stage, and training and checkpoints now and then."""

from __future__ import annotations

import math
import time

from ml.recorder import Progress
from worker.lease.job_log import Log

LOG_SECONDS = 30.0
"""The least time between two lines about one stage, or about checkpoints."""
LOG_SHARE = 0.02
"""The least such time as a share of all time so far: days of training make some hundred lines."""


class ProgressLog:
    """Logs what the work reports, as seldom as people want to read it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began = time.monotonic()
        #: The stage that was logged last, and when.
        self._logged = ("", 0.0)
        #: When a checkpoint was logged last.
        self._logged_checkpoint = -math.inf

    def log(self, progress: Progress) -> None:
        """Log each stage as it begins, and now and then how far it is."""
        now = time.monotonic()
        if progress.stage == self._logged[0] and not self._is_due(self._logged[1], now):
            return
        begun = progress.stage != self._logged[0]
        self._logged = progress.stage, now
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

    def log_checkpoint(self, step: int, size: int, seconds: float) -> None:
        """Log now and then that a checkpoint was kept."""
        now = time.monotonic()
        if self._is_due(self._logged_checkpoint, now):
            self._logged_checkpoint = now
            self._log.info("checkpoint at step %d, %d bytes in %.2f s", step, size, seconds)

    def _is_due(self, logged: float, now: float) -> bool:
        return now - logged >= max(LOG_SECONDS, LOG_SHARE * (now - self._began))
