"""The files that a run leaves, by the names under which they are fetched."""

from __future__ import annotations

from store.finish import NewArtifact
from store.queries import artifact
from worker.stores import Stores

WEIGHTS = "weights.safetensors"
CODES = "codes.npz"
TRAVERSAL = "traversal.png"

JSON = "application/json"
NPZ = "application/x-npz"
PNG = "image/png"


def put(here: Stores, name: str, media_type: str, data: bytes) -> NewArtifact:
    """Keep bytes in the object folder, to be recorded as an artifact when the job finishes."""
    sha256, size = here.objects.put(data)
    return NewArtifact(name, sha256, media_type, size)


def read(here: Stores, run_id: str, name: str) -> bytes:
    """The newest artifact of this name. Raises `NotFound` if the run has none."""
    with here.objects.open(artifact(here.database, run_id, name).sha256) as file:
        return file.read()
