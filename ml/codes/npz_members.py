"""Members of an npz file, read without trusting the sizes that it declares."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

MOST_INFLATION = 1032
"""No deflate stream grows by a larger factor: https://zlib.net/zlib_tech.html."""

_MOST_AT_ONCE = 1 << 20
"""Most bytes of the zip's directory. A directory of seven arrays has a few hundred."""
_MOST_HEADER = 10_000


class OtherSize(ValueError):
    """A member does not hold as many bytes as its header declares."""

    def __init__(self, held: int, declared: int) -> None:
        self.held, self.declared = held, declared
        super().__init__(f"{held} bytes, expected {declared}, as its header says")


def open_npz(file: BinaryIO) -> zipfile.ZipFile:
    """A zip file whose directory takes little memory, however long the file says it is."""
    # zipfile reads the directory in one piece, so a wrapper around the file refuses long reads.
    return zipfile.ZipFile(_Sparing(file))


def unreadable(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    """What a member is and what was expected, if its directory entry shows it cannot be read."""
    if info.flag_bits & 1:
        return "an encrypted member", "a file without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"compression {info.compress_type}", "a stored or deflated member"
    if info.file_size > MOST_INFLATION * max(1, info.compress_size):
        got = f"{info.compress_size} bytes that inflate to {info.file_size}"
        return got, f"at most {MOST_INFLATION} times as many, as deflate gives"
    return None


def read_member(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    check: Callable[[tuple[int, ...], np.dtype[Any]], None],
) -> Any:
    """The array of a member, in this machine's byte order. Nothing is unpickled.

    `check` may refuse its shape and dtype before memory is allocated for it.

    Raises:
        OtherSize: the member holds more or fewer bytes than its header declares.
        Exception: `check` raised it; or, on made-up bytes, one of the dozen kinds of error that
            zipfile, zlib and numpy's parser of headers raise.
    """
    with archive.open(info) as member:
        shape, dtype = _header(member)
        header_bytes = member.tell()
    check(shape, dtype)
    declared, held = math.prod(shape) * dtype.itemsize, info.file_size - header_bytes
    if declared != held:
        raise OtherSize(held, declared)
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False, max_header_size=_MOST_HEADER)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        read = np.lib.format.read_array_header_1_0
    elif version == (2, 0):
        read = np.lib.format.read_array_header_2_0
    else:
        # Format 3.0 is for field names in other letters, and arrays with fields are refused.
        raise ValueError(f"arrays of the npy format 1.0 or 2.0 are read, and not {version}")
    shape, _, dtype = read(member, max_header_size=_MOST_HEADER)
    return shape, dtype


class _Sparing(io.BufferedIOBase):
    """A file that refuses to give more than `_MOST_AT_ONCE` bytes at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = _MOST_AT_ONCE + 1
        if size > _MOST_AT_ONCE + 1:
            raise zipfile.BadZipFile("its directory of members is too long")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True
