"""The files of a run: putting them into the object folder, and reading them from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store.files.folders import check_mark
from store.files.objects import open_recorded
from store.jobs.finish import NewArtifact
from store.queries import artifact
from worker.process.stores import Stores

JSON = "application/json"
NPZ = "application/x-npz"
PNG = "image/png"
TENSORS = "application/octet-stream"


@dataclass(frozen=True)
class NewFile:
    """A file that stays in memory until it is recorded as an artifact."""

    name: str
    media_type: str
    data: bytes


def put(here: Stores, files: Sequence[NewFile]) -> list[NewArtifact]:
    """Keep files in the object folder. Call it right before the transaction that records them.

    Raises:
        StorageTrouble: if a file cannot be kept.
    """
    if files:
        check_mark(here.database, here.objects)
    artifacts = []
    for file in files:
        sha256, size = here.objects.put(file.data)
        artifacts.append(NewArtifact(file.name, sha256, file.media_type, size))
    return artifacts


def read(here: Stores, run_id: str, name: str) -> bytes:
    """The newest artifact of this name.

    Raises:
        NotFound: if the run has none.
        ObjectGone, DamagedObject: if its file is missing or damaged.
        StorageAway: if the whole folder is away.
    """
    sha256 = artifact(here.database, run_id, name).sha256
    with open_recorded(here.database, here.objects, sha256) as file:
        return file.read()
