"""The object folder: the bytes of artifacts and uploads, each file named by its SHA-256."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from store.database.connection import Database
from store.errors import BadName, DamagedObject, ObjectGone
from store.files.folders import MarkedFolder, check_mark
from store.files.whole_file import write_whole

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


class ObjectFolder(MarkedFolder):
    """A folder of files that never change, at `<root>/<first two digits>/<sha256>`."""

    kind = "objects"
    noun = "object folder"

    def put(self, data: bytes | Path | BinaryIO) -> tuple[str, int]:
        """Keep bytes or a copy of a file. An open file is copied from its current position.

        If the same content is put again, there is still one file.

        Returns:
            The SHA-256 in hex and the size in bytes.

        Raises:
            NotWritable: if the content cannot be kept. Nothing has changed then.
        """
        with ExitStack() as closed_after:
            if isinstance(data, Path):
                data = closed_after.enter_context(data.open("rb"))
            chunks = [data] if isinstance(data, bytes) else _chunks(data)
            with self.writing():
                _, sha256, size = write_whole(self.root, chunks, self.path)
        return sha256, size

    def path(self, sha256: str) -> Path:
        """Where the content with this digest lies, or would lie.

        Raises:
            BadName: if it is not 64 hexadecimal digits in lower case.
        """
        if _SHA256.fullmatch(sha256) is None:
            raise BadName("a SHA-256 as 64 hexadecimal digits in lower case", sha256)
        return self.root / sha256[:2] / sha256

    def open(self, sha256: str) -> BinaryIO:
        """Open the content after checking that it is what was put here. The caller closes it.

        Raises:
            BadName: if the digest is not 64 hexadecimal digits in lower case.
            ObjectGone: if there is no such file.
            DamagedObject: if the file holds something else, or lies on a bad sector.
        """
        path = self.path(sha256)
        with ExitStack() as closed_if_damaged:
            try:
                file = closed_if_damaged.enter_context(path.open("rb"))
                found = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
            except FileNotFoundError:
                raise ObjectGone(path) from None
            except OSError as error:
                if error.errno != errno.EIO:  # EIO is a bad sector.
                    raise
                raise DamagedObject(path, f"cannot be read: {error.strerror}") from error
            if found != sha256:
                raise DamagedObject(path, f"has the SHA-256 {found}, not that of its name")
            closed_if_damaged.pop_all()
        return file


def open_recorded(database: Database, objects: ObjectFolder, sha256: str) -> BinaryIO:
    """Open content that a row of the database names; see `ObjectFolder.open`.

    Raises:
        StorageAway: if the content cannot be read because the whole folder is away.
    """
    try:
        return objects.open(sha256)
    except (ObjectGone, DamagedObject, OSError):
        check_mark(database, objects)
        raise


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
