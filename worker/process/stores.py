"""The database and the folders, opened once in each worker process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from store.database.connection import Database
from store.files.checkpoint_folder import CheckpointFolder
from store.files.objects import ObjectFolder
from store.settings import Settings, settings

_PROCESS_IDS = Path("/proc/self/ns/pid")
_IDS_OF_MACHINE = 0xEFFFFFFC
"""What Linux numbers the process ids by that are the machine's own."""


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


def host_name() -> str:
    """The machine on which a process id means one process.

    Containers may share a machine's name and still number their processes by themselves. So in a
    container of that kind, a number of its process ids follows the name.
    """
    name = socket.gethostname()
    try:
        number = _PROCESS_IDS.stat().st_ino
    except OSError:
        return name  # Linux alone has containers of that kind.
    return name if number == _IDS_OF_MACHINE else f"{name}/{number - _IDS_OF_MACHINE}"


def worker_name() -> str:
    """The machine and the process, for people to read, and to tell workers apart."""
    return f"{host_name()}:{os.getpid()}"
