"""Limits the logs of processes that only ever append to them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MOST_BYTES = 10_000_000
KEPT = 2
"""Files with older lines beside the log: `api.log.1`, and the still older `api.log.2`."""


def bound(log: Path, most_bytes: int | None = None) -> None:
    """Move the lines of a log that has grown long to another file, and empty it.

    The process that writes the log goes on with the same file, which it must have opened for
    appending. Only what it writes between the copy and the cut is lost.
    """
    most = MOST_BYTES if most_bytes is None else most_bytes
    if not log.exists() or log.stat().st_size <= most:
        return
    for number in range(KEPT, 1, -1):
        before = log.with_name(f"{log.name}.{number - 1}")
        if before.exists():
            before.replace(log.with_name(f"{log.name}.{number}"))
    with log.open("r+b") as lines, log.with_name(f"{log.name}.1").open("wb") as aside:
        # This reaches the end of the log, with the lines that are written meanwhile.
        shutil.copyfileobj(lines, aside, 1 << 20)
        os.ftruncate(lines.fileno(), 0)
