"""The worker's own application with next to nothing to do: `celery -A tests.service.cheap_worker`.

Each task leaves a line in $HEDDLE_HOME/taken, and is under way while $HEDDLE_HOME/busy is there.
While $HEDDLE_HOME/ending is there, the worker is told to end as it hands a task to its child.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace

from billiard import pool

from store.settings import settings
from worker.process import broker

if seconds := os.environ.get("CHEAP_HEALTH_SECONDS"):
    broker.TRANSPORT["health_check_interval"] = int(seconds)

from worker.app import app

__all__ = ["app"]


def _take() -> bool:
    home = settings().home
    with Path(home / "taken").open("a") as file:
        file.write("a hint\n")
    while (home / "busy").exists():
        time.sleep(0.05)
    return False


def _clock() -> float:
    # The child reads it between getting a task and telling its parent so.
    if (settings().home / "ending").exists():
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(1)
    return time.monotonic()


pool.Worker.workloop = partialmethod(pool.Worker.workloop, now=_clock)

# In place of the modules, which take seconds to import.
sys.modules["worker.training"] = SimpleNamespace(train_next=_take)  # type: ignore[assignment]
sys.modules["worker.process.presence"] = SimpleNamespace(  # type: ignore[assignment]
    begin=lambda _: None, end=lambda: None
)
