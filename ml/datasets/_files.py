"""The digests of operators' files, computed once for each version of a file."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. A file that has not changed is read only once."""
    return _digest(file, "sha256")


def md5_of(file: Path) -> str:
    """The MD5 of a file's bytes, in hex, by which some publishers name their files."""
    return _digest(file, "md5")


def _digest(file: Path, algorithm: str) -> str:
    status = file.stat()
    return _of_version(file, algorithm, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _of_version(file: Path, algorithm: str, _inode: int, _mtime_ns: int, _size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(
            stream, partial(hashlib.new, algorithm, usedforsecurity=False)
        ).hexdigest()
