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

    #: torch's threads in a training process; all cores but one by default, since threads that wait
    #: for one that has no core cost far more than they bring. A resumed run has the same bits
    #: only at the same number, which is why it is a setting and not the load of the moment.
    train_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) - 1), ge=1)
    #: How many runs are trained side by side at most. None: as many as the device's memory holds,
    #: and one on a CPU, where more bring nothing.
    cohort_width: int | None = Field(default=None, ge=1, le=64)
    #: How many processes train beside each other: what waits is divided among them.
    train_processes: int = Field(default=1, ge=1)
    #: Whether to wait while a process that is none of Heddle's holds 256 MiB of the GPU or more, or
    #: to `ignore` it. In a container that has process ids of its own (no `pid: host`) nothing is
    #: looked for, as the driver tells the machine's.
    foreign: Literal["wait", "ignore"] = "wait"
    #: torch's threads in an evaluating process.
    evaluate_threads: int = Field(default=1, ge=1)


@cache
def worker_settings() -> WorkerSettings:
    """The settings of this process, read from the environment once."""
    return WorkerSettings()
