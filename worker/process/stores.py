"""The database and the folders, opened once in each worker process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache

from store.database.connection import Database
from store.files.checkpoint_folder import CheckpointFolder
from store.files.objects import ObjectFolder
from store.settings import Settings, settings


@dataclass(frozen=True)
class Stores:
    """The database and the folders that a worker reads and writes."""

    database: Database
    objects: ObjectFolder
    checkpoints: CheckpointFolder
    settings: Settings


@cache
def _of_process(_pid: int) -> Stores:
    known = settings()
    return Stores(
        Database(known.database_url),
        ObjectFolder(known.objects),
        CheckpointFolder(known.checkpoints),
        known,
    )


def stores() -> Stores:
    """The stores of this process. A forked child gets connections of its own."""
    return _of_process(os.getpid())


def worker_name() -> str:
    """The machine and the process, for people to read. No decision depends on it."""
    return f"{socket.gethostname()}:{os.getpid()}"
