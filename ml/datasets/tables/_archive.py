"""Members of zip archives that came from anywhere, checked before they are opened."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from ml.components.spec_errors import shown
from ml.datasets.tables.options import Bounds, damage_as_fault, unusable

_DEFLATE_RATIO_AT_MOST = 1032
"""Deflate cannot shrink data further than this, so a higher ratio is a forged size."""
_ENCRYPTED = 1
MOST_DIRECTORY_BYTES = 64 << 20
"""The list of members is held in memory as a whole. This is enough for half a million names."""


@contextmanager
def opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, the list of whose members has a bounded length."""
    with _Sparing(io.FileIO(file)) as stream:
        with damage_as_fault("file", "a whole zip archive"):
            archive = zipfile.ZipFile(stream)
        stream.sparing = False
        with archive:
            yield archive


class _Sparing(io.BufferedReader):
    """A file that does not give too many bytes at once, for zipfile reads its list in one piece."""

    sparing = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.sparing:
            return super().read(size)
        most = MOST_DIRECTORY_BYTES
        data = super().read(most + 1 if size is None or size < 0 else min(size, most + 1))
        if len(data) > most:
            raise zipfile.BadZipFile(f"a directory of members of more than {most} bytes")
        return data


def members(archive: zipfile.ZipFile, bounds: Bounds, most: int) -> list[zipfile.ZipInfo]:
    """The files of the archive in its order, checked by what its directory declares.

    Args:
        archive: an open archive.
        bounds: the most bytes that the files may have together.
        most: how many files there may be.
    """
    found = [one for one in archive.infolist() if not one.is_dir()]
    if len(found) > most:
        raise unusable("file", f"{len(found)} files", f"at most {most} files")
    seen: set[str] = set()
    total = 0
    for one in found:
        _check_name(one.filename)
        if one.filename in seen:
            raise unusable("file", shown(one.filename), "each name once")
        seen.add(one.filename)
        if stat.S_ISLNK(one.external_attr >> 16):
            raise unusable("file", f"a link {shown(one.filename)}", "files and no links")
        if one.flag_bits & _ENCRYPTED:
            raise unusable("file", shown(one.filename), "files that are not encrypted")
        if one.file_size > _DEFLATE_RATIO_AT_MOST * max(one.compress_size, 1):
            got = f"{shown(one.filename)}: {one.file_size} bytes from {one.compress_size}"
            raise unusable("file", got, f"at most {_DEFLATE_RATIO_AT_MOST} times as many")
        total += one.file_size
    if total > bounds.stored_bytes:
        raise unusable("file", f"{total} bytes", f"at most {bounds.stored_bytes} bytes")
    return found


def content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of a member. No more than `most` are inflated, whatever is declared."""
    at = f"file.{shown(member.filename)}"
    with damage_as_fault(at, "a whole member"), archive.open(member) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise unusable(at, "more", f"at most {most} bytes")
    return data


def _check_name(name: str) -> None:
    # The rules of Windows accept both kinds of slash, and drives as well.
    parts = PureWindowsPath(name)
    if parts.anchor or ".." in parts.parts or "\0" in name or "\\" in name or not name.strip():
        raise unusable("file", shown(name), "names that are relative, with / and without ..")
