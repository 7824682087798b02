"""Codes and factors in an npz file, read without trusting a byte of it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, BinaryIO, get_args

import numpy as np

from ml.npz_members import OtherSize, open_npz, read_member, unreadable
from ml.registry import nearest
from ml.rows import FactorKind
from ml.spec_errors import MOST_FAULTS, Fault, shown

MOST_BYTES = 1 << 30
"""Of all arrays of a file together, inflated."""
MOST_ROWS = 2_000_000
MOST_LATENTS = 4096
MOST_FACTORS = 256
LONGEST_NAME = 200

_NUMBERS, _INTEGERS, _TEXT = "fiub", "iu", "U"
_PER_FACTOR = {"factor_names": _TEXT, "factor_sizes": _INTEGERS, "factor_kinds": _TEXT}
_PER_CODE = {"code_names": _TEXT}
_KINDS = {**_PER_FACTOR, **_PER_CODE}
_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "factors": ("(samples, factors)", (MOST_ROWS, MOST_FACTORS)),
    **dict.fromkeys(_PER_FACTOR, ("(factors,)", (MOST_FACTORS,))),
    **dict.fromkeys(_PER_CODE, ("(latents,)", (MOST_LATENTS,))),
}
_EXPECTED_KIND = {_NUMBERS: "numbers", _INTEGERS: "integers", _TEXT: "text (a unicode array)"}


@dataclass(frozen=True)
class CodesAndFactors:
    """What a file holds; the fields are named as its arrays are."""

    codes: np.ndarray
    """(samples, latents)."""
    factors: np.ndarray
    """(samples, factors)."""
    factor_names: tuple[str, ...] | None = None
    factor_sizes: tuple[int, ...] | None = None
    """How many values each factor can take."""
    factor_kinds: tuple[FactorKind, ...] | None = None
    code_names: tuple[str, ...] | None = None
    """What the codes are called; None where they are only numbered."""
    posterior_logvar: np.ndarray | None = None
    """(samples, latents)."""
    posterior_sample: np.ndarray | None = None
    """(samples, latents)."""


_OWN = {"mean": "codes", "log_variance": "posterior_logvar", "sample": "posterior_sample"}
_OWN_BESIDES = {"factors", "index", "kl", "reconstruction", "train_rows"}
"""What else the codes.npz of a run holds; only the factors of it are read."""

KNOWN = tuple(field.name for field in fields(CodesAndFactors))
"""The arrays that a file may hold; codes and factors are required."""


class UnusableArrays(ValueError):
    """A file that cannot be scored; `faults` lists why, with arrays' names as paths."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)[:MOST_FAULTS]
        # A fault without a path is one of a spec, elsewhere.
        told = (replace(fault, path=fault.path or "file") for fault in self.faults)
        super().__init__("; ".join(map(str, told)))


def read_arrays(file: BinaryIO, *, most_bytes: int = MOST_BYTES) -> CodesAndFactors:
    """Read a file as `numpy.savez` and `savez_compressed` write it, or the codes.npz of a run.

    Nothing is unpickled. What members and headers declare is checked before memory is taken for
    it, so that a small file cannot ask for much.

    Args:
        file: open for reading in binary, seekable.
        most_bytes: of all arrays together, inflated.

    Raises:
        UnusableArrays: it is no such file, or its arrays cannot be scored: a name, dtype or shape
            that does not fit, NaN or infinities.
    """
    try:
        with open_npz(file) as archive:
            members = _members(archive, most_bytes)
            arrays = {name: _array(archive, name, member) for name, member in members.items()}
        return _checked(arrays)
    except UnusableArrays:
        raise
    except Exception as error:
        # zipfile, zlib and numpy's parser of headers raise a dozen kinds on made-up bytes.
        reason = str(error) or type(error).__name__
        expected = "a whole npz file, as numpy.savez writes it"
        raise UnusableArrays([Fault("", shown(reason), expected)]) from None


def _members(archive: zipfile.ZipFile, most_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The members by the names of their arrays, as far as the directory tells all in order."""
    members: dict[str, zipfile.ZipInfo] = {}
    faults: list[Fault] = []
    held = [info.filename.removesuffix(".npy") for info in archive.infolist()]
    of_a_run = set(held) == set(_OWN) | _OWN_BESIDES
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if of_a_run:
            name = _OWN.get(name, name)
            if name not in KNOWN:
                continue
        got, expected, hint = None, None, None
        if name not in KNOWN or not info.filename.endswith(".npy"):
            got, expected = info.filename, "one of the arrays " + ", ".join(KNOWN)
            hint = nearest(name, KNOWN)
        elif name in members:
            got, expected = "two members of this name", "one"
        elif (unread := unreadable(info)) is not None:
            got, expected = unread
        members[name] = info
        if expected is not None:
            faults.append(Fault(shown(name), shown(got), expected, hint))
    for name in ("codes", "factors"):
        if name not in members:
            faults.append(Fault(name, None, "an array: it is required"))
    total = sum(info.file_size for info in archive.infolist())
    if total > most_bytes:
        faults.append(Fault("", f"{total} bytes inflated", f"at most {most_bytes} bytes"))
    if faults:
        raise UnusableArrays(faults)
    return members


def _array(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Any:
    try:
        return read_member(archive, info, partial(_check_header, name))
    except OtherSize as error:
        expected = f"{error.declared}, as its header says"
        raise UnusableArrays([Fault(name, f"{error.held} bytes", expected)]) from None


def _check_header(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array by what it says of itself."""
    kinds = _KINDS.get(name, _NUMBERS)
    if dtype.kind not in kinds or (dtype.kind == "f" and dtype.itemsize > 8):
        got = f"dtype {dtype.name}"
        raise UnusableArrays([Fault(name, shown(got), _EXPECTED_KIND[kinds])])
    if dtype.kind == "U" and dtype.itemsize > 4 * LONGEST_NAME:
        got = f"{dtype.itemsize // 4} letters"
        raise UnusableArrays([Fault(name, got, f"at most {LONGEST_NAME} letters")])
    what, most = _SHAPES.get(name, ("(samples, latents)", (MOST_ROWS, MOST_LATENTS)))
    fits = len(shape) == len(most) and all(
        0 < length <= bound for length, bound in zip(shape, most, strict=True)
    )
    if not fits:
        bounds = " x ".join(f"{bound:,}" for bound in most)
        expected = f"the shape {what}, from 1 to {bounds}"
        raise UnusableArrays([Fault(name, shown(list(shape)), expected)])


def _checked(arrays: dict[str, Any]) -> CodesAndFactors:
    if faults := _mismatches(arrays):
        raise UnusableArrays(faults)
    listed = {name: tuple(arrays[name].tolist()) for name in _KINDS if name in arrays}
    return CodesAndFactors(**{**arrays, **listed})


def _mismatches(arrays: dict[str, Any]) -> list[Fault]:
    """What does not go together, and values that nothing can be computed from."""
    codes, factors = arrays["codes"], arrays["factors"]
    faults = []
    if len(factors) != len(codes):
        faults.append(Fault("factors", f"{len(factors)} rows", f"{len(codes)} rows, as in codes"))
    elif len(codes) < 2:
        faults.append(Fault("codes", "1 row", "at least 2 rows"))
    for name in ("posterior_logvar", "posterior_sample"):
        if name in arrays and arrays[name].shape != codes.shape:
            expected = f"the shape {list(codes.shape)} of codes"
            faults.append(Fault(name, list(arrays[name].shape), expected))
    for name in _KINDS:
        what, columns = ("codes", codes) if name in _PER_CODE else ("factors", factors)
        if name in arrays and len(arrays[name]) != columns.shape[1]:
            expected = f"{columns.shape[1]}, one for each column of {what}"
            faults.append(Fault(name, len(arrays[name]), expected))
    for name, array in arrays.items():
        if name not in _KINDS and (fault := _not_finite(name, array)):
            faults.append(fault)
    faults += _bad_text(arrays)
    if "factor_sizes" in arrays and (arrays["factor_sizes"] < 1).any():
        faults.append(Fault("factor_sizes", int(arrays["factor_sizes"].min()), "at least 1"))
    return faults


def _not_finite(name: str, array: np.ndarray) -> Fault | None:
    if array.dtype.kind != "f":
        return None
    finite = np.isfinite(array)
    if finite.all():
        return None
    row, column = map(int, np.unravel_index(int(finite.argmin()), array.shape))
    got = f"{array[row, column]} in row {row}, column {column}"
    return Fault(name, got, "finite numbers")


def _bad_text(arrays: dict[str, Any]) -> list[Fault]:
    faults = []
    for array in ("factor_names", "code_names"):
        # Printable leaves out NUL and halves of letters, which no database can hold.
        names = arrays[array].tolist() if array in arrays else []
        bad = [name for name in names if not name or not name.isprintable()]
        if bad:
            expected = f"printable names of 1 to {LONGEST_NAME} letters"
            faults.append(Fault(array, shown(bad[0]), expected))
    if "factor_kinds" in arrays:
        known = get_args(FactorKind)
        for kind in arrays["factor_kinds"].tolist():
            if kind not in known:
                expected = "one of " + ", ".join(known)
                faults.append(Fault("factor_kinds", shown(kind), expected, nearest(kind, known)))
                break
    return faults
