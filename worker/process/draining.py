"""Whether this worker is being shut down: one byte that the parent and its children share."""

from __future__ import annotations

import mmap

# This is anonymous shared memory, mapped before the pool forks. It needs no lock, so a signal
# handler may write it.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Ask running work to stop at a checkpoint. The parent calls this."""
    _flag[0] = 1


def under_way() -> bool:
    """Whether to stop at a checkpoint. The pool's processes call this."""
    return _flag[0] == 1
