"""Arrays in files: npz, npy, HDF5 and MATLAB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from heddle.errors import SpecError
from ml.codes.arrays_file import npz_arrays
from ml.codes.found_arrays import Check, Found, HeldArrays, Side, UnusableArrays, find_arrays
from ml.components.spec_errors import Fault, shown

NPY = (".npy",)
HDF5 = (".h5", ".hdf5", ".hdf", ".he5")
MATLAB = (".mat",)
ARRAYS = (".npz", *NPY, *HDF5, *MATLAB)
_MOST_HEADER = 10_000


def read_held(path: Path, wanted: dict[Side, str | None]) -> Found:
    """Read the arrays of a file for the sides that are keys of `wanted`.

    `wanted` has the name of each side's array, or None for the usual names. Nothing is unpickled,
    and no link to another file is followed.

    Raises:
        UnusableArrays: an array is missing or cannot be used.
        SpecError: the file is not of the kind that its suffix says.
        OSError: the file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with path.open("rb") as file:
            return npz_arrays(file, wanted)
    if suffix in NPY:
        return _npy(path, wanted)
    try:
        with (_matlab if suffix in MATLAB else _hdf5)(path) as held:
            return find_arrays(held, wanted)
    except (UnusableArrays, SpecError):
        raise
    except FileNotFoundError:
        raise
    except Exception as error:
        # On damaged files h5py and scipy raise a dozen kinds of errors.
        kind = "MATLAB" if suffix in MATLAB else "HDF5"
        raise SpecError(f"{path} is no whole {kind} file", detail=str(error)) from error


def _npy(path: Path, wanted: dict[Side, str | None]) -> Found:
    """The single array of an npy, which has the codes or the factors."""
    if len(wanted) != 1:
        raise SpecError(
            f"{path} has a single array; give the factors by --factors-file, as in"
            f" heddle score {path.name} --factors-file factors.npy"
        )
    [side] = wanted
    if wanted[side] is not None:
        raise SpecError(f"{path} has a single array; --{side}-array is for files of several")

    def load(check: Check) -> Any:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"the npy format {version} is not read")
            read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape, _, dtype = read(file, max_header_size=_MOST_HEADER)
            check(shape, dtype)
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False, max_header_size=_MOST_HEADER)
        return array.astype(dtype.newbyteorder("="), copy=False)

    try:
        return find_arrays(_Loaded({side: load}), wanted)
    except ValueError as error:
        if isinstance(error, UnusableArrays):
            raise
        raise SpecError(f"{path} is no whole npy file", detail=str(error)) from error


class _Loaded:
    """Arrays by the functions that read them, with the bytes that they take where known."""

    def __init__(
        self, arrays: Mapping[str, Callable[[Check], Any]], sizes: Mapping[str, int] | None = None
    ) -> None:
        self._arrays, self._sizes = arrays, sizes or {}

    def names(self) -> list[str]:
        return list(self._arrays)

    def faults(self, wanted: Sequence[str], most_bytes: int) -> list[Fault]:
        total = sum(self._sizes.get(name, 0) for name in wanted)
        if total > most_bytes:
            return [Fault("", f"{total} bytes unpacked", f"at most {most_bytes} bytes")]
        return []

    def read(self, name: str, check: Check) -> Any:
        return self._arrays[name](check)


@contextmanager
def _hdf5(path: Path, *, turned: bool = False) -> Iterator[HeldArrays]:
    """Open the data sets of an HDF5 file by their paths; `turned` reverses their dimensions."""
    import h5py

    with path.open("rb"), h5py.File(path, "r") as file:
        arrays: dict[str, Callable[[Check], Any]] = {}
        sizes: dict[str, int] = {}

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith("#"):
                # Bytes of other files are not read.
                if item.is_virtual or item.external:
                    raise SpecError(f"{path}: the data set {name!r} lies in other files")
                arrays[name] = lambda check: _data_set(item, check, name, turned=turned)
                sizes[name] = math.prod(item.shape or (0,)) * item.dtype.itemsize

        # It does not follow links to other files.
        file.visititems(add)
        yield _Loaded(arrays, sizes)


def _data_set(item: Any, check: Check, name: str, *, turned: bool) -> Any:
    import h5py

    dtype, shape = item.dtype, item.shape or ()
    if turned:
        shape = shape[::-1]
    if turned and item.attrs.get("MATLAB_class") in (b"char", b"cell", b"struct"):
        expected = "numbers; MATLAB's text and cells are read from files of version 7 (-v7)"
        raise UnusableArrays([Fault(shown(name), "text or cells of MATLAB 7.3", expected)])
    if h5py.check_string_dtype(dtype) is not None:
        array = np.asarray(item.asstr()[()].tolist(), dtype=str)
        check(array.shape, array.dtype)
        return array
    check(shape, dtype)
    array = np.asarray(item[()])
    array = array.astype(dtype.newbyteorder("="), copy=False)
    return array.T if turned else array


@contextmanager
def _matlab(path: Path) -> Iterator[HeldArrays]:
    """Open the variables of a MATLAB file. One of version 7.3 is HDF5, with reversed dimensions."""
    from scipy.io import loadmat, whosmat
    from scipy.sparse import issparse

    try:
        # `open` says why a file cannot be opened, where scipy looks for another file instead.
        with path.open("rb"):
            about = whosmat(path, appendmat=False)
    except NotImplementedError:
        with _hdf5(path, turned=True) as held:
            yield held
        return

    def reading(name: str) -> Callable[[Check], Any]:
        def load(check: Check) -> Any:
            array = loadmat(path, appendmat=False, variable_names=[name])[name]
            if issparse(array):
                check(array.shape, array.dtype)
                array = array.toarray()
            array = _text_of_cells(name, array)
            if array.dtype.kind == "U":
                array = np.char.strip(array)
            if array.ndim == 2 and 1 in array.shape and array.dtype.kind == "U":
                array = array.ravel()
            check(array.shape, array.dtype)
            return array

        return load

    sizes = {name: 8 * math.prod(shape) for name, shape, _ in about}
    yield _Loaded({name: reading(name) for name, _, _ in about}, sizes)


def _text_of_cells(name: str, array: Any) -> Any:
    """Return cells of text as an array of text, and other arrays as they are."""
    if array.dtype.kind != "O" or array.dtype.names is not None:
        return array
    cells = [np.asarray(cell) for cell in array.ravel()]
    if not all(cell.dtype.kind == "U" and cell.size <= 1 for cell in cells):
        expected = "cells of text, or numbers in a matrix, as cell2mat makes of cells"
        raise UnusableArrays([Fault(shown(name), "cells of other things than text", expected)])
    texts = ["".join(cell.ravel().tolist()) for cell in cells]
    return np.array(texts, dtype=str).reshape(array.shape)
