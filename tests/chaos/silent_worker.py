"""The worker's own application, whose work may fall silent: `celery -A tests.chaos.silent_worker`.

The first training that finds $HEDDLE_HOME/silence takes it away, and is not heard of again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from celery.signals import task_prerun

from store.settings import settings
from worker.app import app

__all__ = ["app"]


@task_prerun.connect
def _may_fall_silent(**_: Any) -> None:
    _may_fall_silent_once(os.getpid())


@cache
def _may_fall_silent_once(_process: int) -> None:
    # At the first task, as Celery's parent must not import torch.
    import worker.training

    train_cohort = worker.training.train_cohort

    def trains(*arguments: Any, **options: Any) -> Iterator[Any]:
        try:
            (settings().home / "silence").unlink()
        except FileNotFoundError:
            yield from train_cohort(*arguments, **options)
        else:
            time.sleep(600)

    worker.training.train_cohort = trains
