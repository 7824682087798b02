"""Prepared data: computed once, kept in the data folder, mapped by each process that uses it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ml.datasets.protocol import Progress

_DIGEST_BYTES = 32
_known_whole: set[tuple[Path, int, int, int, str | None]] = set()


class WrongDigest(Exception):
    """The computed data differ from the recorded ones, as this machine's arithmetic is another."""

    def __init__(self, path: Path, got: str, expected: str) -> None:
        self.path, self.got, self.expected = path, got, expected
        super().__init__(
            f"{path.name} came out with sha256 {got}, expected {expected}: this machine, or another"
            " version of a package that draws, computes other images than recorded"
        )


def prepared(
    path: Path,
    shape: tuple[int, ...],
    blocks: Callable[[], Iterable[NDArray[np.uint8]]],
    progress: Progress | None = None,
    *,
    sha256: str | None = None,
) -> NDArray[np.uint8]:
    """The rows of `blocks`, mapped from the file at `path`, which is written first if need be.

    Several processes may ask at once: one writes, and the others wait for it. The file ends with
    the SHA-256 of its rows. Every process checks it when it first opens the file, and computes
    damaged rows again.

    Args:
        shape: the shape of all rows together, uint8.
        progress: called after each block that is written. If it raises, the writing stops and
            leaves nothing behind.
        sha256: the digest that the rows must have, if it is known beforehand.

    Returns:
        A read-only array mapped from the file, shared by all processes of the machine.

    Raises:
        WrongDigest: `blocks` does not give rows with the digest `sha256`.
    """
    if not _is_whole(path, shape, sha256):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_whole(path, shape, sha256):
                _write(path, shape, blocks(), progress, sha256)
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r", shape=shape))


def digest_of(path: Path) -> str:
    """The SHA-256 of the rows in a file that `prepared` has written, as it is recorded there."""
    with path.open("rb") as file:
        file.seek(-_DIGEST_BYTES, os.SEEK_END)
        return file.read().hex()


def _is_whole(path: Path, shape: tuple[int, ...], sha256: str | None) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    size = math.prod(shape)
    if status.st_size != size + _DIGEST_BYTES:
        return False
    key = (path, status.st_ino, status.st_mtime_ns, status.st_size, sha256)
    if key not in _known_whole:
        contents = np.memmap(path, dtype=np.uint8, mode="r")
        digest = hashlib.sha256(contents[:size].data)
        recorded = contents[size:].tobytes()
        if digest.digest() != recorded or sha256 not in (None, digest.hexdigest()):
            return False
        _known_whole.add(key)
    return True


def _write(
    path: Path,
    shape: tuple[int, ...],
    blocks: Iterable[NDArray[np.uint8]],
    progress: Progress | None,
    sha256: str | None,
) -> None:
    # The name is fixed, so that the file of a killed process is overwritten. The lock keeps others
    # from writing to it.
    aside = path.with_name(f"{path.name}.part")
    digest = hashlib.sha256()
    done = 0
    try:
        with aside.open("wb") as file:
            for block in blocks:
                file.write(block.data)
                digest.update(block.data)
                done += len(block)
                if progress is not None:
                    progress(done, shape[0])
            if sha256 not in (None, digest.hexdigest()):
                raise WrongDigest(path, digest.hexdigest(), str(sha256))
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
