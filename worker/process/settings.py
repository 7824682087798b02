"""What a worker process may use of the machine."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """Read from the environment variables `HEDDLE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="HEDDLE_")

    #: torch's threads in a training process. The default is all cores but one: if one thread had no
    #: core, the others would wait for it, which costs far more than the thread is worth. A resumed
    #: run has the same bits only with the same number of threads. So the number is a setting and
    #: does not follow the load.
    train_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) - 1), ge=1)
    #: How many runs are trained side by side at most. None means as many as fit into the device's
    #: memory, and a single one on a CPU, where more bring no gain.
    cohort_width: int | None = Field(default=None, ge=1, le=64)
    #: How many processes train at the same time. The waiting runs are divided among them.
    train_processes: int = Field(default=1, ge=1)
    #: Whether to `wait` while a process that is not Heddle's uses 256 MiB or more of the GPU, or to
    #: `ignore` it. In a container with process ids of its own (without `pid: host`) nobody looks,
    #: as the driver reports the ids of the machine.
    foreign: Literal["wait", "ignore"] = "wait"
    #: torch's threads in an evaluating process.
    evaluate_threads: int = Field(default=1, ge=1)


@cache
def worker_settings() -> WorkerSettings:
    """The settings of this process, read from the environment once."""
    return WorkerSettings()
