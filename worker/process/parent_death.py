"""A pool's process ends with its parent, also when that is killed by SIGKILL."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask Linux to kill this process when the one that forked it dies.

    Elsewhere nothing happens: such a process ends when it next wants a task from its parent,
    and what it writes meanwhile is refused by its fence.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before the call.
        os.kill(os.getpid(), signal.SIGKILL)
