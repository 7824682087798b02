"""The folder of uploads that come in parts, each a file that grows until it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from store.errors import NotFound, TooManyUploads, UploadBusy, UploadDamaged, WrongOffset

UPLOADS = "uploads"
"""The folder's name in the data folder."""
KEPT_SECONDS = 24 * 3600.0
"""An upload to which nothing was added for so long is removed."""
MOST_UPLOADS = 100

_ID = re.compile(r"up_[0-9a-f]{32}")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes in parts."""

    id: str
    #: The bytes that are there.
    offset: int
    #: The bytes of the whole file.
    bytes: int
    #: The SHA-256 that the whole file is to have; None if it was not given.
    sha256: str | None
    #: The file's name, as its sender gave it.
    name: str


class UploadFolder:
    """The folder of uploads. Several processes may use it.

    An upload is a file of what has come, and beside it a file of what was announced. Nothing of it
    is in the database, as an upload is of no use to anybody but its sender.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, size: int, *, name: str = "", sha256: str | None = None) -> Upload:
        """A new upload of a file of so many bytes.

        Raises:
            TooManyUploads: if so many have begun and not ended that no more may.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.remove_old()
        if len(list(self.root.glob("up_*.json"))) >= MOST_UPLOADS:
            raise TooManyUploads(MOST_UPLOADS)
        upload = Upload(f"up_{secrets.token_hex(16)}", 0, size, sha256, name)
        self._content(upload.id).touch()
        self._announced(upload.id).write_text(
            json.dumps({"bytes": size, "sha256": sha256, "name": name})
        )
        return upload

    def find(self, id: str) -> Upload:
        """The upload with this id.

        Raises:
            NotFound: if there is none.
        """
        if _ID.fullmatch(id) is None:
            raise NotFound("upload", id)
        try:
            announced = json.loads(self._announced(id).read_text())
            offset = self._content(id).stat().st_size
        except (FileNotFoundError, ValueError):
            raise NotFound("upload", id) from None
        return Upload(id, offset, **announced)

    @contextmanager
    def adding(self, id: str, offset: int) -> Iterator[Callable[[bytes], None]]:
        """Add to an upload that has `offset` bytes. What was added stays if the sender breaks off.

        Yields:
            A function that adds bytes. It raises `WrongOffset` for more than were announced, and
            adds none of those.

        Raises:
            NotFound: if there is no such upload.
            UploadBusy: if another request adds to it, or uses it.
            WrongOffset: if it has more or fewer bytes.
        """
        self.find(id)
        with self._locked(id, "ab") as file:
            found = self.find(id)
            if found.offset != offset:
                raise WrongOffset(id, offset, found.offset)
            at = offset

            def add(chunk: bytes) -> None:
                nonlocal at
                if at + len(chunk) > found.bytes:
                    raise WrongOffset(id, at + len(chunk), found.bytes, most=True)
                file.write(chunk)
                at += len(chunk)

            yield add

    @contextmanager
    def whole(self, id: str) -> Iterator[Path]:
        """The file of an upload, of which all has come, by a path with the suffix of its name.

        Raises:
            NotFound: if there is no such upload.
            UploadBusy: if another request adds to it.
            WrongOffset: if a part of it is still to come.
            UploadDamaged: if it does not have the SHA-256 that was announced.
        """
        self.find(id)
        with self._locked(id, "rb") as file:
            found = self.find(id)
            if found.offset != found.bytes:
                raise WrongOffset(id, found.bytes, found.offset)
            if found.sha256 is not None:
                came = _sha256(file)
                if came != found.sha256:
                    raise UploadDamaged(id, came, found.sha256)
            # What a file is may be told by the end of its name.
            named = self._content(f"{id}.{secrets.token_hex(4)}{_suffix(found.name)}")
            named.symlink_to(id)
            try:
                yield named
            finally:
                named.unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove an upload.

        Raises:
            NotFound: if there is no such upload.
        """
        self.find(id)
        self._announced(id).unlink(missing_ok=True)
        self._content(id).unlink(missing_ok=True)

    def remove_old(self, kept_seconds: float = KEPT_SECONDS) -> int:
        """Remove what nothing was added to for so long. Returns how many files were removed."""
        removed = 0
        before = time.time() - kept_seconds
        for path in self.root.glob("up_*"):
            with suppress(FileNotFoundError):
                content = self._content(path.name.partition(".")[0])
                newest = content.stat().st_mtime if content.exists() else path.lstat().st_mtime
                if newest < before:
                    path.unlink()
                    removed += 1
        return removed

    @contextmanager
    def _locked(self, id: str, mode: str) -> Iterator[IO[Any]]:
        try:
            opened = self._content(id).open(mode)
        except FileNotFoundError:
            raise NotFound("upload", id) from None
        with opened as file:
            try:
                # The system lets go of the lock when the process ends, however that happens. The
                # lock of readers is shared, as HDF5 locks the files that it reads itself.
                fcntl.flock(
                    file, (fcntl.LOCK_SH if mode == "rb" else fcntl.LOCK_EX) | fcntl.LOCK_NB
                )
            except BlockingIOError:
                raise UploadBusy(id) from None
            yield file

    def _content(self, id: str) -> Path:
        return self.root / id

    def _announced(self, id: str) -> Path:
        return self.root / f"{id}.json"


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _sha256(file: IO[Any]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
