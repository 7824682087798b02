"""Logs of processes that only know to write on: kept from growing without end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MOST_BYTES = 10_000_000
KEPT = 2
"""Files of older lines beside the log: `api.log.1`, and before that `api.log.2`."""


def bound(log: Path, most_bytes: int | None = None) -> None:
    """Put the lines of a log that has grown long aside, and empty it.

    Whoever writes it goes on with the same file, which must be open for appending. Nothing is lost
    but what is written at that very moment.
    """
    most = MOST_BYTES if most_bytes is None else most_bytes
    if not log.exists() or log.stat().st_size <= most:
        return
    for number in range(KEPT, 1, -1):
        before = log.with_name(f"{log.name}.{number - 1}")
        if before.exists():
            before.replace(log.with_name(f"{log.name}.{number}"))
    with log.open("r+b") as lines, log.with_name(f"{log.name}.1").open("wb") as aside:
        # To the end, also of what comes meanwhile.
        shutil.copyfileobj(lines, aside, 1 << 20)
        os.ftruncate(lines.fileno(), 0)
