"""Arrays of an .npz archive as streams of bytes, checked before they are used."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ml.datasets.protocol import UnusableFile

_HEADER_BYTES_AT_MOST = 10_000
_DEFLATE_RATIO_AT_MOST = 1032
"""Deflate cannot shrink data further than this, so a higher ratio is a forged size."""


@contextmanager
def array_stream(
    file: Path, name: str, shape: tuple[int, ...], dtype: type[np.generic]
) -> Iterator[IO[bytes]]:
    """The raw values of one array in C order. Its size, shape and type are checked first.

    Nothing is unpickled, and no more is inflated than the array's own size.

    Raises:
        UnusableFile: the archive is damaged, or the array is not as expected. Reading the stream
            may raise it, too.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            member = _checked_member(file, archive, name, shape, dtype)
            with archive.open(member) as stream:
                _check_header(file, name, stream, shape, dtype)
                yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as damage:
        raise UnusableFile(file, f"it is damaged, or no .npz archive ({damage})") from damage


def _checked_member(
    file: Path,
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: type[np.generic],
) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist()}
    member = members.get(f"{name}.npy")
    if member is None:
        known = ", ".join(sorted(members)) or "nothing"
        raise UnusableFile(file, f"expected an array {name!r}, but it holds {known}")
    if member.flag_bits & 1:
        raise UnusableFile(file, f"its array {name!r} is encrypted")
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not size < member.file_size <= size + _HEADER_BYTES_AT_MOST:
        raise UnusableFile(
            file,
            f"expected {name!r} of {size} bytes and a header, but it says {member.file_size}",
        )
    if member.file_size > _DEFLATE_RATIO_AT_MOST * max(member.compress_size, 1):
        raise UnusableFile(
            file,
            f"{name!r} claims {member.file_size} bytes from {member.compress_size},"
            f" more than {_DEFLATE_RATIO_AT_MOST} times",
        )
    return member


def _check_header(
    file: Path, name: str, stream: IO[bytes], shape: tuple[int, ...], dtype: type[np.generic]
) -> None:
    expected = (shape, False, np.dtype(dtype))
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream)
        else:
            header = np.lib.format.read_array_header_2_0(stream)
    except ValueError as damage:
        raise UnusableFile(file, f"{name!r} is no numpy array ({damage})") from damage
    if header != expected:
        order = "Fortran" if header[1] else "C"
        raise UnusableFile(
            file,
            f"expected {name!r} of {expected[2]} {shape} in C order,"
            f" but got {header[2]} {header[0]} in {order} order",
        )
