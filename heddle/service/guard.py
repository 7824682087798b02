"""End the processes that a killed service leaves behind.

The service starts `python guard.py` and holds its standard input. Each line names a process group
to watch (`123`) or to forget (`-123`). The input ends when the service ends, in whatever way; then
the groups that are still watched are killed. A parent-death signal reaches a service's own children
only. The guard reaches their children as well (a worker's pool, its beat), and works on systems
that have no such signal.
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
