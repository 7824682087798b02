"""How a pool's process ends with its parent, even if the parent is killed by SIGKILL."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask Linux to kill this process when the one that forked it dies.

    On other systems this does nothing. There the process ends when it next wants a task from its
    parent, and its fence has the database refuse what it writes meanwhile.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # The parent died before the call.
        os.kill(os.getpid(), signal.SIGKILL)
