"""Folders of pictures: their listing, the digest that names them, and each picture made small."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml.datasets.protocol import MissingFile, UnusableFile, operator_file
from ml.datasets.published._published import PublishedData

_AT_ONCE = 256
_THREADS_AT_MOST = 8
T = TypeVar("T")


class PublishedFolder(PublishedData):
    """A data set that is read from a folder of many files.

    Its digest is over the sorted names and sizes of the files that `wanted` matches, as nobody can
    read a hundred gigabytes for each request. It is computed anew when a folder has changed. So a
    folder whose files are replaced by others of the same sizes keeps its identity and its prepared
    images. `Dataset.source` is the SHA-256 of the prepared images, which are the contents.
    """

    grid: ClassVar[bool | None] = True
    wanted: ClassVar[re.Pattern[str]]
    """Matches the paths of the data set's files within the folder."""

    def folder(self) -> Path:
        """The operator's folder.

        Raises:
            MissingFile: there is none.
        """
        folder = operator_file(self.path)
        if not folder.is_dir():
            raise MissingFile(
                folder, size=self.published_size, published=self.published, what="folder"
            )
        return folder

    def digest(self) -> str:
        return listing_digest(self.folder(), self.wanted)


def listing(folder: Path, wanted: re.Pattern[str]) -> list[tuple[str, int]]:
    """The files that `wanted` matches, sorted, each with its size. Links are not followed."""
    return _walk(folder, wanted)[0]


def listing_digest(folder: Path, wanted: re.Pattern[str]) -> str:
    """A SHA-256 of the `listing`, in hex.

    It is kept as long as neither the folder nor one below it has got, lost or renamed a file.
    """
    known = _digests.get((folder, wanted.pattern))
    if known is not None and all(_changed(below) == when for below, when in known[0].items()):
        return known[1]
    files, folders = _walk(folder, wanted)
    digest = hashlib.sha256()
    for name, size in files:
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    if len(_digests) >= _DIGESTS_AT_MOST:
        _digests.clear()
    _digests[folder, wanted.pattern] = folders, digest.hexdigest()
    return digest.hexdigest()


_DIGESTS_AT_MOST = 64
_digests: dict[tuple[Path, str], tuple[Mapping[Path, int], str]] = {}


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return -1


def _walk(
    folder: Path, wanted: re.Pattern[str]
) -> tuple[list[tuple[str, int]], Mapping[Path, int]]:
    files, folders = [], {}
    waiting = [("", folder)]
    while waiting:
        within, here = waiting.pop()
        # The time is taken first, so that a file that comes meanwhile changes it.
        folders[here] = _changed(here)
        with os.scandir(here) as entries:
            for entry in entries:
                name = f"{within}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((f"{name}/", here / entry.name))
                elif wanted.fullmatch(name) and entry.is_file(follow_symlinks=False):
                    files.append((name, entry.stat(follow_symlinks=False).st_size))
    return sorted(files), folders


def in_threads(
    items: Sequence[T], picture: Callable[[T], NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    """The pictures of all items in their order, in blocks. Several are opened at once."""
    with ThreadPoolExecutor(min(_THREADS_AT_MOST, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield np.stack(list(pool.map(picture, items[start : start + _AT_ONCE])))


def picture(
    file: Path,
    name: str,
    kind: str,
    fits: Callable[[tuple[int, int]], tuple[int, int, int, int] | None],
    contents: bytes | None = None,
) -> NDArray[np.uint8]:
    """One colour picture, cut and reduced to (64, 64, 3) by Lanczos interpolation.

    Args:
        file: the file or archive that an error names.
        name: the picture's name within it.
        kind: the only format that is read, as Pillow calls it.
        fits: from width and height the box to cut out (left, top, right, bottom), or None if the
            picture is not of the expected size. It is asked before the picture is decoded.
        contents: the picture's bytes. If None, they are those of `file`.

    Raises:
        UnusableFile: the picture is damaged, of another format, or of another size.
    """
    from PIL import Image

    try:
        with Image.open(file if contents is None else BytesIO(contents), formats=(kind,)) as image:
            box = fits(image.size)
            if box is None:
                width, height = image.size
                raise UnusableFile(file, f"{name} has an unexpected size of {width} x {height}")
            return resized(np.asarray(image.convert("RGB").crop(box)), 64)
    except UnusableFile:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as damage:
        reason = str(damage).partition("\n")[0]
        raise UnusableFile(file, f"{name} is damaged, or no {kind} ({reason})") from damage


def resized(image: NDArray[np.uint8], side: int, *, enlarge: bool = False) -> NDArray[np.uint8]:
    """A picture (h, w[, 3]) at side x side: Lanczos to reduce it, bilinear to enlarge it.

    Pillow computes both in whole numbers, so every machine gives the same bytes.
    """
    # Pillow takes a while to import, and the catalogue need not wait for it.
    from PIL import Image

    how = Image.Resampling.BILINEAR if enlarge else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize((side, side), how))
