"""Reads files that may be compressed, up to a limit of their inflated bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from heddle.errors import SpecError

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
MOST_BYTES = 1 << 30
"""The limit, after inflating."""
MOST_GROWTH = 1032
"""Deflate grows by this factor at most. A file that grows by more was made to fill the memory."""
_SMALL = 64 << 20
"""Any file may inflate to so many bytes, however small it is."""
_STEP = 1 << 20
_MARKS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


def plain_suffix(path: Path) -> str:
    """The suffix of what is compressed, in lower case: `.csv` of `codes.CSV.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in SUFFIXES:
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""


def inflated(path: Path, *, most_bytes: int = MOST_BYTES) -> tuple[bytes, str | None]:
    """Return a file's bytes, and how they were compressed, as detected from their beginning.

    Raises:
        SpecError: the file is damaged, or inflates to more than is allowed.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(6)
        kind = next((kind for mark, kind in _MARKS.items() if start.startswith(mark)), None)
        file.seek(0)
        if kind is None:
            return file.read(), None
        most = min(most_bytes, max(_SMALL, MOST_GROWTH * path.stat().st_size))
        held = bytearray()
        try:
            stream = _stream(file, kind)
            while part := stream.read(_STEP):
                held += part
                if len(held) > most:
                    raise SpecError(
                        f"{path} inflates to more than {most:,} bytes, which is the most that is"
                        " read; inflate it first if it is what it should be"
                    )
        except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
            raise SpecError(f"{path} is no whole {kind} file", detail=str(error)) from error
    return bytes(held), kind


def _stream(file: Any, kind: str) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    if kind == "bz2":
        return bz2.BZ2File(file)
    if kind == "xz":
        return lzma.LZMAFile(file)
    return pa.CompressedInputStream(io.BufferedReader(file), "zstd")
