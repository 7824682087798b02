"""Files that are there whole or not at all, even after a power cut."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

ASIDE = ".aside-"
"""How the name of a file begins that is not whole yet."""


def write_whole(
    folder: Path, chunks: Iterable[bytes], place: Callable[[str], Path]
) -> tuple[Path, str, int]:
    """Write chunks to a file under `folder`, whose place may depend on its content.

    The bytes go to a file aside and reach the disk before that gets its name, and the name
    reaches the disk before this returns. A file that has the name already is replaced.

    Args:
        folder: created where it is missing; on one file system with the place.
        chunks: the content.
        place: from the SHA-256 in hex to the file's path.

    Returns:
        The path, the SHA-256 in hex and the size in bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    # Not by `tempfile`, whose files are for their owner alone whatever the umask says: the services
    # of a deployment may read each other's, those of an embedded one are private by its umask.
    aside = folder / f"{ASIDE}{secrets.token_hex(8)}"
    with aside.open("xb") as file:
        try:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            sha256 = digest.hexdigest()
            path = place(sha256)
            if not path.parent.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _sync_folder(path.parent.parent)
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)
    return path, sha256, size


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
