"""The database and the folders, opened once in each process that works."""

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
    """Where a worker reads and records."""

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
    """The stores of this process; a forked child gets connections of its own."""
    return _of_process(os.getpid())


def worker_name() -> str:
    """Which process on which machine: for people, not for decisions."""
    return f"{socket.gethostname()}:{os.getpid()}"
