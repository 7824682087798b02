"""A thread of each worker process that reports its presence."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psutil
import torch

from ml.reproducibility.environment import default_device, environment
from ml.training.precision import measured
from store.database.connection import Database
from store.states import JobKind
from store.workers.presence import Presence, processes_on, say_gone, say_killed, say_present
from worker.process import gpus
from worker.process.storage import device_trouble
from worker.process.stores import Stores, host_name, stores, worker_name

logger = logging.getLogger(__name__)

SAID_SECONDS = 10.0
END_SECONDS = 1.0
"""A process that ends waits at most so long to report that. Without the report it counts as gone
once it has been silent for long enough."""


class Saying:
    """Reports that a worker is present until `end` is called, even if the database is away."""

    def __init__(
        self,
        database: Database,
        kind: JobKind,
        precisions: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        """`precisions` measures the rates of the device, as soon as that can be done."""
        self._database, self._kind, self._precisions = database, kind, precisions
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._say, name="presence", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(END_SECONDS)

    def _say(self) -> None:
        first = True
        precisions: dict[str, Any] | None = None
        while True:
            try:
                said = presence(self._kind)
                say_present(self._database, replace(said, precisions=precisions), first=first)
                first = False
                if precisions is None and (precisions := self._precisions()):
                    say_present(self._database, replace(said, precisions=precisions))
                bury(self._database, said.host)
            except Exception as error:
                # The jobs already log that the database is away.
                logger.debug("nobody hears that this worker is there: %s", error)
            if self._over.wait(SAID_SECONDS):
                break
        try:
            say_gone(self._database, worker_name())
        except Exception as error:
            logger.debug("nobody hears that this worker ends: %s", error)


_saying: Saying | None = None


def begin(kind: JobKind) -> None:
    """Report from now on that this process takes jobs of a kind, for as long as it lives."""
    global _saying
    here = stores()
    _saying = Saying(here.database, kind, partial(measured_here, here, kind))


def end() -> None:
    """Stop reporting this process. The database may be away."""
    if _saying is not None:
        _saying.end()


def bury(database: Database, host: str) -> None:
    """Forget the workers of this host that were killed. No other host can see that they were."""
    killed = [pid for pid in processes_on(database, host) if not psutil.pid_exists(pid)]
    if killed:
        logger.warning("forgets the workers of %s that are gone: %s", host, killed)
        say_killed(database, host, killed)


def measured_here(here: Stores, kind: JobKind) -> dict[str, Any] | None:
    """The rates of the device in each precision, if this process trains and the device is free.

    The first call measures them. Whoever is present has said so before, as that takes a moment.
    """
    if kind is not JobKind.TRAIN or device_trouble(here, kind):
        return None
    return measured(default_device()).document()


def presence(kind: JobKind) -> Presence:
    """What this process reports of itself."""
    device = default_device() if kind is JobKind.TRAIN else torch.device("cpu")
    card = gpus.gpu() if device.type == "cuda" else None
    if device.type == "cpu":
        found = psutil.virtual_memory()
        memory: tuple[int, int] | None = (found.total, found.available)
    else:
        memory = None if card is None else card.memory()
    total, free = memory or (None, None)
    return Presence(
        name=worker_name(),
        kind=kind,
        host=host_name(),
        pid=os.getpid(),
        device=str(device),
        device_model=(card and card.name) or str(environment(device)["device_model"]),
        memory_bytes=total,
        memory_free_bytes=free,
    )
