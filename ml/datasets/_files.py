"""The digests of operators' files, computed once for each version of a file."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. A file that has not changed is read only once."""
    status = file.stat()
    return _of_version(file, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _of_version(file: Path, _inode: int, _mtime_ns: int, _size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
