"""Writing files so that they are there whole or not at all, even after a power cut."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

ASIDE = ".aside-"
"""How the names of files begin that are not whole yet."""


def write_whole(
    folder: Path, chunks: Iterable[bytes], place: Callable[[str], Path]
) -> tuple[Path, str, int]:
    """Write chunks to a file under `folder`, whose path may depend on its content.

    The bytes go to a temporary file and reach the disk before the file gets its name. The name
    reaches the disk before this returns. A file that already has the name is replaced.

    Args:
        folder: created if it is missing. It must be on the same file system as the path.
        chunks: the content.
        place: maps the SHA-256 in hex to the file's path.

    Returns:
        The path, the SHA-256 in hex and the size in bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    # Files of `tempfile` are readable by their owner alone, whatever the umask says. But the
    # services of a deployment may read each other's files, and an embedded service makes its files
    # private by its umask.
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
