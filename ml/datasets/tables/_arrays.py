"""Arrays of .npz and HDF5 files: listed by their headers, and read in blocks of rows."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ml.components.spec_errors import shown
from ml.datasets.tables import _archive
from ml.datasets.tables.options import Bounds, damage_as_fault, unusable

MOST_ARRAYS = 1000
MOST_DEPTH = 8
MOST_RATIO = 1032
"""Deflate cannot shrink data further than this."""
MOST_CHUNK_BYTES = 512 << 20
"""A chunk is held in memory as a whole, whatever part of it is read."""
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")


@dataclass(frozen=True)
class Array:
    """One array of a file, which is read only when asked for."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[int], Iterator[NDArray[Any]]]
    """Reads all rows in order, so many at a time."""

    def whole(self, most_bytes: int) -> NDArray[Any]:
        """The array in memory, if it has no more bytes than that."""
        size = math.prod(self.shape) * self.dtype.itemsize
        if size > most_bytes:
            raise unusable(f"file.{shown(self.name)}", f"{size} bytes", f"at most {most_bytes}")
        if not self.shape or not self.shape[0]:
            return np.empty(self.shape, self.dtype)
        return np.concatenate(list(self.blocks(self.shape[0])))


@contextmanager
def arrays(file: Path, bounds: Bounds) -> Iterator[Mapping[str, Array]]:
    """The arrays of an .npz or HDF5 file by name. Nothing is unpickled and no link is followed."""
    if file.suffix.lower() in HDF5_SUFFIXES:
        with _of_hdf5(file) as found:
            yield found
        return
    with _archive.opened(file) as archive:
        found = {}
        for member in _archive.members(archive, bounds, MOST_ARRAYS):
            if member.filename.endswith(".npy"):
                array = _of_member(archive, member)
                found[array.name] = array
        yield found


def _of_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    name = member.filename.removesuffix(".npy")
    at = f"file.{shown(name)}"
    with damage_as_fault(at, "a whole array"), archive.open(member) as stream:
        shape, fortran, dtype, header = _header(stream, name)
    if any(length < 0 for length in shape):
        raise unusable(at, f"shape {shape}", "lengths from 0 on")
    size = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and member.file_size != header + size:
        got = f"{member.file_size} bytes for {dtype} {shape}"
        raise unusable(at, got, f"{header + size} bytes")

    def blocks(rows: int) -> Iterator[NDArray[Any]]:
        if dtype.hasobject:
            raise unusable(at, "pickled objects", "numbers or text")
        if fortran and len(shape) > 1:
            expected = "C order; save it by numpy.ascontiguousarray(array)"
            raise unusable(at, "an array in Fortran order", expected)
        row = math.prod(shape[1:]) * dtype.itemsize
        with ExitStack() as stack:
            with damage_as_fault(at, "a whole array"):
                stream = stack.enter_context(archive.open(member))
                _exactly(stream, header, name)
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                with damage_as_fault(at, "a whole array"):
                    data = _exactly(stream, count * row, name)
                yield np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])

    return Array(name, shape, dtype, blocks)


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, type, and bytes of the header itself."""
    start = io.BytesIO(stream.read(65_536))
    try:
        version = np.lib.format.read_magic(start)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(start)
    except ValueError as damage:
        raise unusable(f"file.{shown(name)}", shown(str(damage)), "a numpy array") from None
    return shape, fortran, dtype, start.tell()


def _exactly(stream: IO[bytes], size: int, name: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise unusable(f"file.{shown(name)}", f"{len(data)} bytes", f"{size} more bytes")
    return data


@contextmanager
def _of_hdf5(file: Path) -> Iterator[Mapping[str, Array]]:
    import h5py

    found: dict[str, Array] = {}
    with ExitStack() as stack:
        with damage_as_fault("file", "a whole HDF5 file"):
            _list(stack.enter_context(h5py.File(file, "r")), "", found, 0)
        yield found


def _list(group: Any, prefix: str, found: dict[str, Array], depth: int) -> None:
    import h5py

    if depth > MOST_DEPTH:
        raise unusable("file", f"groups in {prefix}", f"groups to a depth of {MOST_DEPTH}")
    for name in group:
        path = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise unusable(f"file.{shown(path)}", "a link", "arrays and no links")
        one = group[name]
        if isinstance(one, h5py.Group):
            _list(one, f"{path}/", found, depth + 1)
        elif isinstance(one, h5py.Dataset):
            if one.external or one.is_virtual:
                raise unusable(f"file.{shown(path)}", "data in another file", "data in this file")
            chunk = math.prod(one.chunks or ()) * one.dtype.itemsize
            if one.chunks and chunk > MOST_CHUNK_BYTES:
                expected = f"chunks of at most {MOST_CHUNK_BYTES} bytes"
                raise unusable(f"file.{shown(path)}", f"{chunk} bytes", expected)
            found[path] = _of_dataset(path, one)
        if len(found) > MOST_ARRAYS:
            raise unusable("file", f"more than {MOST_ARRAYS} arrays", f"at most {MOST_ARRAYS}")


def _of_dataset(name: str, one: Any) -> Array:
    import h5py

    at = f"file.{shown(name)}"
    text = h5py.check_string_dtype(one.dtype) is not None

    def blocks(rows: int) -> Iterator[NDArray[Any]]:
        if one.dtype.hasobject and not text:
            raise unusable(at, f"values of {one.dtype}", "numbers or text")
        size = math.prod(one.shape) * one.dtype.itemsize
        with damage_as_fault(at, "an array that can be read"):
            held = one.id.get_storage_size()
        if not text and size > MOST_RATIO * max(held, 1):
            raise unusable(at, f"{size} bytes of which the file holds {held}", "the whole array")
        for start in range(0, one.shape[0], rows):
            with damage_as_fault(at, "an array that can be read"):
                read = one.asstr() if text else one
                block = np.asarray(read[start : start + rows])
            yield block.astype(str) if text else block

    dtype = np.dtype("U64") if text else one.dtype
    return Array(name, tuple(one.shape or ()), dtype, blocks)
