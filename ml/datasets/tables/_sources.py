"""Where images come from: a folder, a zip archive, or an array of an .npz or HDF5 file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ml.components.spec_errors import shown
from ml.datasets.tables import _archive, _pictures
from ml.datasets.tables._arrays import HDF5_SUFFIXES, Array, arrays
from ml.datasets.tables.options import Bounds, TableOptions, unusable

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
IMAGES_AT_ONCE = 1024
BLOCK_BYTES = 32 << 20
USUAL_IMAGES = ("images", "imgs", "image", "x", "data", "observations")
SIDE_FILES = ("thumbs.db", "desktop.ini")
MOST_DEPTH = 32
NAMED = 5
"""How many names a message lists."""


@dataclass(frozen=True)
class Source:
    """Images of one size, in an order, with what is known of each besides its pixels."""

    count: int
    shape: tuple[int, int, int]
    blocks: Callable[[], Iterator[NDArray[np.uint8]]]
    """Reads all images in order, some at a time."""
    names: tuple[str, ...] | None = None
    """The images' paths within the folder or archive; None for an array."""
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """The other arrays of the file."""
    folder: str = ""
    """The folder of an archive that all images lie in. Their names leave it out."""
    tables: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    """The tables among the images by name, and how to read each."""
    taken: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


@contextmanager
def images_in(path: Path, options: TableOptions, bounds: Bounds) -> Iterator[Source]:
    """The images at a path. They can be read as long as the context lasts.

    Raises:
        UnusableTable: there are no images, or they cannot be understood for certain.
    """
    if path.is_dir():
        yield _of_files(_folder(path, bounds), options, bounds)
    elif not path.is_file():
        raise unusable("file", shown(path.name), "a folder or a file that exists")
    elif path.suffix.lower() in (".npz", *HDF5_SUFFIXES):
        with arrays(path, bounds) as found:
            yield _of_array(found, options, bounds)
    elif zipfile.is_zipfile(path):
        with _archive.opened(path) as archive:
            yield _of_files(_zip(archive, bounds), options, bounds)
    else:
        expected = "a folder, a zip archive, or an .npz or HDF5 (.h5) file"
        raise unusable("file", shown(path.name), expected)


@dataclass(frozen=True)
class _Files:
    """The images' files by their paths, and the other files."""

    images: dict[str, Callable[[], bytes]]
    others: dict[str, Callable[[], bytes]]
    folder: str = ""
    """The folder that all of them lie in, which their paths leave out."""


def _folder(folder: Path, bounds: Bounds) -> _Files:
    found = _Files({}, {})

    def reading(file: Path, most: int) -> Callable[[], bytes]:
        def read() -> bytes:
            with file.open("rb") as stream:
                data = stream.read(most + 1)
            if len(data) > most:
                raise unusable(f"file.{shown(file.name)}", "more", f"at most {most} bytes")
            return data

        return read

    def walk(here: Path, prefix: str) -> None:
        if prefix.count("/") > MOST_DEPTH or len(found.images) > bounds.images:
            got = shown(prefix) if prefix.count("/") > MOST_DEPTH else "more images"
            expected = f"at most {MOST_DEPTH} folders in each other, {bounds.images} images"
            raise unusable("file", got, expected)
        for one in sorted(here.iterdir(), key=lambda entry: entry.name):
            name = f"{prefix}{one.name}"
            if _aside(name):
                continue
            if one.is_symlink():
                raise unusable("file", f"a link {shown(name)}", "files and no links")
            if one.is_dir():
                walk(one, f"{name}/")
            elif one.is_file():
                _sort_in(found, name, reading(one, _most(name, bounds)))
            else:
                raise unusable("file", f"{shown(name)}, which is no file", "files and folders")

    walk(folder, "")
    return found


def _zip(archive: zipfile.ZipFile, bounds: Bounds) -> _Files:
    found = _Files({}, {})
    for member in _archive.members(archive, bounds, bounds.images + NAMED):
        name = member.filename
        if not _aside(name):
            most = _most(name, bounds)
            _sort_in(found, name, lambda m=member, most=most: _archive.content(archive, m, most))  # type: ignore[misc]
    return _without_common_folder(found)


def _without_common_folder(files: _Files) -> _Files:
    """The files without the folder that all of them lie in, as an archive of a folder has."""
    tops = {name.partition("/")[0] for name in (*files.images, *files.others)}
    nested = all("/" in name for name in (*files.images, *files.others))
    if len(tops) != 1 or not nested or "=" in next(iter(tops)):
        return files
    cut = len(next(iter(tops))) + 1
    return _Files(
        {name[cut:]: read for name, read in files.images.items()},
        {name[cut:]: read for name, read in files.others.items()},
        next(iter(tops)),
    )


def _most(name: str, bounds: Bounds) -> int:
    of_table = PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES
    return bounds.table_bytes if of_table else bounds.file_bytes


def _aside(name: str) -> bool:
    """Whether a file is one that systems leave in folders."""
    parts = PurePosixPath(name).parts
    return (
        any(part.startswith(".") for part in parts)
        or "__MACOSX" in parts
        or parts[-1].lower() in SIDE_FILES
    )


def _sort_in(files: _Files, name: str, read: Callable[[], bytes]) -> None:
    is_image = PurePosixPath(name).suffix.lower() in _pictures.SUFFIXES
    (files.images if is_image else files.others)[name] = read


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts the numbers in names by their values: `2.png` before `10.png`."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts if part]


def _of_files(files: _Files, options: TableOptions, bounds: Bounds) -> Source:
    names = sorted(files.images, key=natural)
    if not names:
        others = ", ".join(list(map(shown, files.others))[:NAMED]) or "nothing"
        raise unusable("file", others, f"images ({', '.join(_pictures.SUFFIXES)})")
    if len(names) > bounds.images:
        raise unusable("file", f"{len(names)} images", f"at most {bounds.images}")
    shape, odd = _shape_of_files(files, names, options, bounds)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(names), IMAGES_AT_ONCE):
            yield np.stack(
                [
                    _pictures.pixels(files.images[name](), name, shape[2], options, bounds)
                    for name in names[start : start + IMAGES_AT_ONCE]
                ]
            )

    tables = [name for name in files.others if PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES]
    left = [name for name in files.others if name not in tables]
    if left:
        listed = ", ".join(map(shown, left[:NAMED]))
        odd.append(f"{len(left)} files are no images and were left out: {listed}")
    return Source(
        len(names),
        shape,
        blocks,
        tuple(names),
        folder=files.folder,
        tables={name: files.others[name] for name in tables},
        odd=tuple(odd),
    )


def _shape_of_files(
    files: _Files, names: list[str], options: TableOptions, bounds: Bounds
) -> tuple[tuple[int, int, int], list[str]]:
    """The one shape of all images, from their headers."""
    sizes: dict[tuple[int, int], str] = {}
    channels: dict[int, str] = {}
    transparent = 0
    for name in names:
        one = _pictures.header(files.images[name](), name, bounds)
        after = _pictures.size_after(one.width, one.height, options, name)
        sizes.setdefault(after, name)
        channels.setdefault(one.channels, name)
        transparent += one.transparent
        if len(sizes) > 1:
            (a, first), (b, second) = list(sizes.items())[:2]
            got = f"{shown(first)} of {a[0]} x {a[1]}, {shown(second)} of {b[0]} x {b[1]}"
            raise unusable("file", got, "images of one size; see the options crop and resize")
    if len(channels) > 1 and options.channels is None:
        got = f"{shown(channels[1])} is grey, {shown(channels[3])} is coloured"
        raise unusable("file", got, "images of one kind; see the option channels")
    (width, height) = next(iter(sizes))
    odd = []
    if transparent:
        odd.append(f"{transparent} images are transparent in part and were laid over black")
    return (height, width, options.channels or next(iter(channels))), odd


def _of_array(found: Mapping[str, Array], options: TableOptions, bounds: Bounds) -> Source:
    array = _images_array(found, options.images_key)
    count, height, width, channels, first = _layout(array)
    if count > bounds.images:
        raise unusable(f"file.{shown(array.name)}", f"{count} images", f"at most {bounds.images}")
    if height * width > bounds.pixels:
        got = f"images of {width} x {height}"
        raise unusable(f"file.{shown(array.name)}", got, f"at most {bounds.pixels} pixels")
    of_channels = options.channels or channels
    width_after, height_after = _pictures.size_after(width, height, options, array.name)
    shape = (height_after, width_after, of_channels)
    size = count * height * width * channels
    if size > bounds.stored_bytes:
        expected = f"at most {bounds.stored_bytes} bytes"
        raise unusable(f"file.{shown(array.name)}", f"{size} bytes", expected)
    rows = max(1, BLOCK_BYTES // max(1, height * width * channels * array.dtype.itemsize))

    mixing = (options.resize is not None or of_channels < channels) and array.dtype == np.uint8

    def blocks() -> Iterator[NDArray[np.uint8]]:
        # Zeros and ones would not survive a mean in whole numbers.
        binary = mixing and max(int(block.max()) for block in array.blocks(rows)) == 1
        for block in array.blocks(rows):
            images = _as_bytes(block, array.name) * np.uint8(255 if binary else 1)
            images = images.reshape(
                len(block), *((channels, height, width) if first else (height, width, channels))
            )
            images = np.moveaxis(images, 1, 3) if first else images
            yield _pictures.resized(_with_channels(images, of_channels), options)

    taken = [f"images: the array {array.name}, {array.dtype} {array.shape}"]
    if first:
        taken.append("the second axis of the images was taken for their channels")
    if array.dtype.kind == "f":
        taken.append("pixels from 0 to 1 were scaled to 0 to 255")
    others = {name: one for name, one in found.items() if name != array.name}
    return Source(count, shape, blocks, arrays=others, taken=tuple(taken))


def _images_array(found: Mapping[str, Array], key: str | None) -> Array:
    known = ", ".join(list(map(shown, found))[:NAMED]) or "nothing"
    if key is not None:
        if key not in found:
            raise unusable("images_key", key, f"an array of the file ({known})")
        return found[key]
    several = [one for one in found.values() if len(one.shape) in (3, 4)]
    usual = [one for one in several if one.name.lower() in USUAL_IMAGES]
    chosen = usual if len(usual) == 1 else several
    if not chosen:
        raise unusable("file", known, "an array of images, (images, height, width[, channels])")
    if len(chosen) > 1:
        names = ", ".join(one.name for one in chosen)
        raise unusable("images_key", None, f"the array of images, one of {names}")
    return chosen[0]


def _layout(array: Array) -> tuple[int, int, int, int, bool]:
    """Images, height, width, channels, and whether the channels come first."""
    shape, at = array.shape, f"file.{shown(array.name)}"
    if array.dtype.hasobject:
        raise unusable(at, "pickled objects", "numbers")
    if array.dtype.kind not in "bf" and array.dtype != np.uint8:
        expected = "uint8 from 0 to 255, bool, or floats from 0 to 1"
        raise unusable(at, f"pixels of {array.dtype}", expected)
    if len(shape) == 3:
        return *shape, 1, False
    if len(shape) == 4:
        if shape[3] in (1, 3):
            return *shape[:3], shape[3], False
        if shape[1] in (1, 3):
            return shape[0], shape[2], shape[3], shape[1], True
    raise unusable(at, f"shape {shape}", "(images, height, width) or with 1 or 3 channels")


def _as_bytes(block: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    if block.dtype == np.uint8:
        return block.view(np.uint8)
    if block.dtype.kind == "b":
        return block.astype(np.uint8) * np.uint8(255)
    values = block.astype(np.float64)
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    if not (low >= 0 and high <= 1):
        got = "NaN" if np.isnan(low) or np.isnan(high) else f"{low:g} to {high:g}"
        raise unusable(f"file.{shown(name)}", f"pixels of {got}", "floats from 0 to 1")
    found: NDArray[np.uint8] = np.floor(values * 255 + 0.5).astype(np.uint8)
    return found


def _with_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    # The weights of ITU-R 601, as Pillow turns colours to grey: whole numbers that sum to 2^16.
    weighed = images.astype(np.uint32) @ np.array([19595, 38470, 7471], dtype=np.uint32)
    return ((weighed + 0x8000) >> 16).astype(np.uint8)[..., None]
