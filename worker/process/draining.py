"""Whether this worker is being shut down: one byte that the parent and its children share."""

from __future__ import annotations

import mmap

# Anonymous shared memory, mapped before the pool forks. It needs no lock, so it may be written
# in a signal handler.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Ask work that is under way to stop at a checkpoint; called in the parent."""
    _flag[0] = 1


def under_way() -> bool:
    """Whether to stop at a checkpoint; asked in the pool's processes."""
    return _flag[0] == 1
