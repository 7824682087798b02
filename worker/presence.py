"""A thread of each worker's process that says that it is there."""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import suppress

import psutil
import torch

from ml.environment import default_device, environment
from store.away import DATABASE_AWAY
from store.presence import Presence, say_gone, say_present
from store.states import JobKind
from worker import gpus
from worker.stores import stores, worker_name

logger = logging.getLogger(__name__)

SAID_SECONDS = 10.0


def begin(kind: JobKind) -> None:
    """Say from now on, and for as long as this process lives, that it takes jobs of a kind."""
    threading.Thread(target=_keep_saying, args=(kind,), name="presence", daemon=True).start()


def end() -> None:
    """Say no more that this process is there; the database need not be."""
    _over.set()
    with suppress(Exception):
        say_gone(stores().database, worker_name())


_over = threading.Event()


def _keep_saying(kind: JobKind) -> None:
    while True:
        try:
            say_present(stores().database, presence(kind))
        except DATABASE_AWAY as error:
            logger.warning("nobody hears that this worker is there: %s", error)
        except Exception:
            logger.exception("this worker cannot say that it is there")
            return
        if _over.wait(SAID_SECONDS):
            return


def presence(kind: JobKind) -> Presence:
    """What this process has to say of itself."""
    device = default_device() if kind is JobKind.TRAIN else torch.device("cpu")
    memory = gpus.memory(device) if device.type == "cuda" else _memory()
    return Presence(
        name=worker_name(),
        kind=kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        device=str(device),
        device_model=gpus.name(device) or str(environment(device)["device_model"]),
        memory_bytes=None if memory is None else memory.total,
        memory_free_bytes=None if memory is None else memory.free,
    )


def _memory() -> gpus.Memory:
    found = psutil.virtual_memory()
    return gpus.Memory(found.total, found.available)
