"""The arrays of a file by their part in scoring: found by their names, each checked by itself.

Nothing of a file is trusted: its names, shapes and dtypes are checked before an array is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from ml.codes.file_account import LeftAside
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, shown

MOST_BYTES = 1 << 30
"""Most bytes of all arrays of a file together, inflated."""
MOST_ROWS = 2_000_000
MOST_LATENTS = 4096
MOST_FACTORS = 256
LONGEST_NAME = 200
MOST_NAMED = 100
"""Most arrays that are named in an error, or as left aside."""

CODES_ARRAYS = (
    *("codes", "z", "mu", "mean", "means", "z_mean", "codes_mean", "latent", "latents"),
    *("latent_codes", "representation", "representations", "embedding", "embeddings"),
)
"""Names that an array of codes may have. The first takes precedence over the others."""
FACTORS_ARRAYS = (
    *("factors", "y", "label", "labels", "target", "targets", "classes", "factor_values"),
    *("attributes", "latents_classes", "generative_factors", "ground_truth"),
)

_NUMBERS, _INTEGERS, _TEXT = "fiub", "iu", "US"
PER_FACTOR = {"factor_names": _TEXT, "factor_sizes": _INTEGERS, "factor_kinds": _TEXT}
_KINDS = {**PER_FACTOR, "code_names": _TEXT, "factors": _NUMBERS + _TEXT}
_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "factors": ("(samples, factors)", (MOST_ROWS, MOST_FACTORS)),
    "code_names": ("(latents,)", (MOST_LATENTS,)),
    **dict.fromkeys(PER_FACTOR, ("(factors,)", (MOST_FACTORS,))),
}
_EXPECTED_KIND = {
    _NUMBERS: "numbers",
    _INTEGERS: "integers",
    _TEXT: "text (a unicode array)",
    _NUMBERS + _TEXT: "numbers, or text for classes",
}

OF_CODES = ("codes", "code_names", "posterior_logvar", "posterior_sample")
OF_FACTORS = ("factors", *PER_FACTOR)
Side = Literal["codes", "factors"]
SIDES: dict[Side, tuple[str, ...]] = {"codes": OF_CODES, "factors": OF_FACTORS}
ALIASES: dict[Side, tuple[str, ...]] = {"codes": CODES_ARRAYS, "factors": FACTORS_ARRAYS}

KNOWN = (
    *("codes", "factors", *PER_FACTOR),
    *("posterior_logvar", "posterior_sample", "code_names"),
)
"""The arrays that a file may hold. Codes and factors are required."""

_OWN = {"mean": "codes", "log_variance": "posterior_logvar", "sample": "posterior_sample"}
_OWN_BESIDES = {"factors", "index", "kl", "reconstruction", "train_rows"}
"""The other arrays in the codes.npz of a run. Of these only the factors are read."""


class UnusableArrays(ValueError):
    """A file cannot be scored. `faults` lists the reasons, with arrays' names as paths."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)[:MOST_FAULTS]
        # Without a path, a fault would say that it is the spec's.
        named = (replace(fault, path=fault.path or "file") for fault in self.faults)
        super().__init__("; ".join(map(str, named)))


class _PickledNames(Exception):
    """Names have the dtype object. They are left aside, as scores do not need them."""


Check = Callable[[tuple[int, ...], np.dtype[Any]], None]


class HeldArrays(Protocol):
    """A file's arrays, each of which is read when it is asked for."""

    def names(self) -> Sequence[str]:
        """The names of all arrays, in the file's order."""

    def faults(self, wanted: Sequence[str], most_bytes: int) -> list[Fault]:
        """Reasons in the file's directory not to read the wanted arrays."""

    def read(self, name: str, check: Check) -> Any:
        """One array. `check` may refuse its shape and dtype before memory is allocated for it."""


@dataclass
class Found:
    """Arrays by their part in scoring, each checked by itself, and notes on the others."""

    arrays: dict[str, Any] = field(default_factory=dict)
    left_aside: list[LeftAside] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)


def find_arrays(
    held: HeldArrays, chosen: dict[Side, str | None], *, most_bytes: int = MOST_BYTES
) -> Found:
    """The arrays that belong to the sides that are keys of `chosen`, each checked by itself.

    Raises:
        UnusableArrays: an array is missing, has a wrong dtype or shape, or several may be meant.
    """
    names = list(held.names())
    found = Found()
    parts, faults = _parts(names, chosen, found)
    if not faults:
        faults = held.faults(list(parts.values()), most_bytes)
    if faults:
        raise UnusableArrays(faults)
    for part, name in parts.items():
        try:
            array = held.read(name, partial(_check_header, part, name))
        except _PickledNames:
            why = "objects are pickles, which are never read"
            found.left_aside.append(LeftAside(name=name, why=why))
            continue
        found.arrays[part] = _plain(part, name, array, found)
    used = set(parts.values())
    aside = [name for name in names if name not in used]
    found.left_aside += [
        LeftAside(name=shown(name), why="an array that scores do not need")
        for name in aside[:MOST_NAMED]
    ]
    if len(aside) > MOST_NAMED:
        found.assumed.append(f"{len(aside) - MOST_NAMED} further arrays are left aside")
    return found


def _parts(
    names: Sequence[str], chosen: dict[Side, str | None], found: Found
) -> tuple[dict[str, str], list[Fault]]:
    """The arrays' names by their parts in scoring, and their faults."""
    if set(names) == set(_OWN) | _OWN_BESIDES:
        of_run = {part: name for name, part in _OWN.items()} | {"factors": "factors"}
    else:
        of_run = {}
    parts: dict[str, str] = {}
    faults: list[Fault] = []
    for side, asked in chosen.items():
        usual = {part: name for part in SIDES[side] if (name := of_run.get(part, part)) in names}
        main, fault = _main(side, asked, names, usual.pop(side, None), found)
        if fault is not None:
            faults.append(fault)
        if main is None:
            continue
        # Arrays about the posterior belong to its means, and not to other codes that were chosen.
        if asked in (None, of_run.get(side, side)) or side == "factors":
            parts |= usual
        parts[side] = main
    if not of_run:
        faults += _misspelt(names, parts)
    return parts, faults


def _main(
    side: Side, asked: str | None, names: Sequence[str], usual: str | None, found: Found
) -> tuple[str | None, Fault | None]:
    """The name of the array that has this side's main data (codes or factors), or a fault."""
    option = f"{side}_array (--{side}-array)"
    if asked is not None:
        if asked in names:
            return asked, None
        expected = f"one of the arrays {_listed(names)}"
        return None, Fault(f"{side}_array", shown(asked), expected, nearest(asked, names))
    if usual is not None:
        return usual, None
    others = [name for name in names if _last(name) in ALIASES[side]]
    if len(others) == 1:
        found.assumed.append(f"the array {others[0]!r} has the {side}")
        return others[0], None
    if others:
        expected = f"a choice of one of them by {option}"
        return None, Fault(side, _listed(others), expected)
    there = f"; there are {_listed(names)}" if names else ""
    return None, Fault(side, None, f"an array: it is required, or another by {option}{there}")


def _listed(names: Sequence[str]) -> str:
    """The names in one text. Only the first are listed, as there may be thousands."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(shown, names[:MOST_NAMED])) + more


def _last(name: str) -> str:
    """The last part of a path as in HDF5, in small letters: `latents` of `Test/Latents`."""
    return name.rpartition("/")[2].lower()


def _misspelt(names: Sequence[str], parts: dict[str, str]) -> list[Fault]:
    """Faults for arrays whose names nearly match a missing one, as it may be wrong to skip them."""
    absent = [name for name in KNOWN if name not in names and name not in parts]
    expected = "one of the arrays " + ", ".join(KNOWN)
    faults = []
    for name in names:
        if name in parts.values():
            continue
        if near := difflib.get_close_matches(name, absent, n=1, cutoff=0.8):
            faults.append(Fault(shown(name), shown(name), expected, near[0]))
    return faults


def _check_header(part: str, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise `UnusableArrays` if the shape or dtype that an array's header declares does not fit."""
    kinds = _KINDS.get(part, _NUMBERS)
    if dtype.kind == "O" and part in ("factor_names", "code_names"):
        raise _PickledNames
    is_bfloat16 = _is_bfloat16(dtype) and "f" in kinds
    if (dtype.kind not in kinds and not is_bfloat16) or (dtype.kind == "f" and dtype.itemsize > 8):
        got, expected = f"dtype {dtype.name}", _EXPECTED_KIND[kinds]
        if dtype.kind == "O":
            saved = "labels" if part == "factors" else "text"
            expected += (
                f"; objects are pickles, which are never read: save {saved} by"
                f" numpy.asarray({name}.tolist()) or {name}.astype(str)"
            )
        raise UnusableArrays([Fault(name, shown(got), expected)])
    letters = dtype.itemsize // (4 if dtype.kind == "U" else 1)
    if dtype.kind in _TEXT and letters > LONGEST_NAME:
        raise UnusableArrays([Fault(name, f"{letters} letters", f"at most {LONGEST_NAME} letters")])
    what, most = _SHAPES.get(part, ("(samples, latents)", (MOST_ROWS, MOST_LATENTS)))
    fits = len(shape) == len(most) and all(
        0 < length <= bound for length, bound in zip(shape, most, strict=True)
    )
    # A single factor may be a plain list of labels. Transposed arrays are recognised later.
    fits = fits or (part == "factors" and len(shape) == 1 and 0 < shape[0] <= MOST_ROWS)
    fits = fits or (part in SIDES and len(shape) == 2 and 0 < shape[0] < shape[1] <= MOST_ROWS)
    if not fits:
        bounds = " x ".join(f"{bound:,}" for bound in most)
        expected = f"the shape {what}, from 1 to {bounds}"
        raise UnusableArrays([Fault(name, shown(list(shape)), expected)])


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    # numpy.save does not know the bfloat16 of ml_dtypes and writes it in this way.
    return dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None


def _plain(part: str, name: str, array: Any, found: Found) -> Any:
    """An array as numbers or text that numpy knows. Arrays of samples have two dimensions."""
    if _is_bfloat16(array.dtype):
        found.assumed.append(f"{name!r} has the dtype {array.dtype.str}, read as bfloat16")
        # A bfloat16 is the upper half of a float32.
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            array = np.char.decode(array, "latin-1")
            found.assumed.append(f"the text of {name!r} is no UTF-8, read as Latin-1")
    if part in (*PER_FACTOR, "code_names"):
        return array.tolist()
    if array.dtype.kind == "U":
        letters = np.ascontiguousarray(array).view(np.uint32)
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))).any():
            raise UnusableArrays([Fault(name, "numbers that are no letters", "printable text")])
    if part == "factors" and array.ndim == 1:
        found.assumed.append(f"{name!r} has one dimension: one factor")
        array = array[:, None]
    return array
