"""The folder of checkpoints' files, and what is recorded of each checkpoint."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store.database.ids import is_id
from store.errors import BadName
from store.files.folders import MarkedFolder
from store.files.whole_file import write_whole

_FILE = re.compile(r"\d+-\d+\.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A recorded checkpoint. `CheckpointFolder.read_whole` checks whether its file is whole."""

    run_id: str
    fence: int
    step: int
    #: Relative to the checkpoint folder.
    path: str
    sha256: str
    bytes: int
    created_at: float


class CheckpointFolder(MarkedFolder):
    """The files of checkpoints, at `<root>/<run id>/<fence>-<step>.safetensors`.

    The fence in the name keeps a worker that has lost its job from overwriting its successor's
    files.
    """

    kind = "checkpoints"
    noun = "checkpoint folder"

    def write(self, run_id: str, fence: int, step: int, data: bytes) -> tuple[str, str, int]:
        """Write a checkpoint's file, whole or not at all. Then `record_checkpoint` makes it count.

        Returns:
            The path relative to the folder, the SHA-256 in hex and the size in bytes.

        Raises:
            BadName: if `run_id` is not the id of a run.
            NotWritable: if the file cannot be written. Nothing has changed then.
        """
        path = f"{run_id}/{fence}-{step}.safetensors"
        place = self._place(path)
        with self.writing():
            _, sha256, size = write_whole(place.parent, [data], lambda _: place)
        return path, sha256, size

    def read_whole(self, checkpoint: Checkpoint) -> bytes | None:
        """The file's content. None if it is missing, on a bad sector, or not what was recorded.

        A run goes on from the first of its `checkpoints` whose file is whole.
        """
        try:
            data = self._place(checkpoint.path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # This is a bad sector.
                return None
            raise
        return data if hashlib.sha256(data).hexdigest() == checkpoint.sha256 else None

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files by their paths relative to the folder. A missing file is no error."""
        for path in paths:
            self._place(path).unlink(missing_ok=True)

    def clear(self, run_id: str, keep: Collection[str] = ()) -> None:
        """Delete all files of a run except those to keep, even if they were never recorded.

        Raises:
            BadName: if `run_id` is not the id of a run.
        """
        if not is_id(run_id, "run"):
            raise BadName("the id of a run", run_id)
        folder = self.root / run_id
        with suppress(OSError):
            for path in folder.iterdir():
                if f"{run_id}/{path.name}" not in keep:
                    path.unlink(missing_ok=True)
            folder.rmdir()

    def _place(self, path: str) -> Path:
        run_id, _, file = path.partition("/")
        if not is_id(run_id, "run") or _FILE.fullmatch(file) is None:
            raise BadName("a path <run id>/<fence>-<step>.safetensors", path)
        return self.root / run_id / file
