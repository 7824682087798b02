"""Files of numbers, packed as `.gz` or not, read in blocks and never beyond what is expected."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ml.datasets.protocol import UnusableFile

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Stream:
    """The bytes of an open file."""

    file: Path
    _bytes: gzip.GzipFile | BinaryIO

    def take(self, count: int) -> bytes:
        """The next bytes, exactly so many.

        Raises:
            UnusableFile: there are fewer.
        """
        data = self._bytes.read(count)
        if len(data) < count:
            raise UnusableFile(
                self.file, f"it ends early: expected {count} more bytes, but got {len(data)}"
            )
        return data

    def rows(self, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
        """All further bytes as rows of this shape, (n, ...), in blocks of some rows.

        Raises:
            UnusableFile: there are more or fewer bytes.
        """
        for start in range(0, shape[0], _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, shape[0] - start)
            data = self.take(count * math.prod(shape[1:]))
            yield np.frombuffer(data, dtype=np.uint8).reshape(count, *shape[1:])
        if self._bytes.read(1):
            raise UnusableFile(self.file, f"it goes on after the last of its {shape[0]} rows")


@contextmanager
def opened(file: Path) -> Iterator[Stream]:
    """Open a file, which is unpacked while it is read if its name ends in `.gz`.

    Raises:
        UnusableFile: the file is damaged. Reading the stream may raise it, too.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            yield Stream(file, stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as damage:
        raise UnusableFile(file, f"it is damaged or cut short ({damage})") from damage
