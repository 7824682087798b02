"""Ends what a killed service leaves behind: `python guard.py`, its standard input held by the
service.

Each line names a process group to watch (`123`) or to forget (`-123`). When the input ends,
because the service ended in whatever way, the groups still watched are killed. A parent-death
signal reaches a service's own children only; this reaches theirs as well (a worker's pool, its
beat), and works where there is no such signal.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
