"""Codes and factors in a file of named arrays, which is read without trusting any of its bytes.

The service, the workers and the command line all read npz files by this module.
"""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Shaped

from ml.codes.factor_columns import (
    ROWS_A_CLASS,
    FactorColumn,
    UnusableColumn,
    column_of_numbers,
    column_of_text,
    counts_rows,
    is_missing,
)
from ml.codes.file_account import LeftAside
from ml.codes.npz_members import OtherSize, open_npz, read_member, unreadable
from ml.codes.rows import FactorKind
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
_PER_FACTOR = {"factor_names": _TEXT, "factor_sizes": _INTEGERS, "factor_kinds": _TEXT}
_KINDS = {**_PER_FACTOR, "code_names": _TEXT, "factors": _NUMBERS + _TEXT}
_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "factors": ("(samples, factors)", (MOST_ROWS, MOST_FACTORS)),
    "code_names": ("(latents,)", (MOST_LATENTS,)),
    **dict.fromkeys(_PER_FACTOR, ("(factors,)", (MOST_FACTORS,))),
}
_EXPECTED_KIND = {
    _NUMBERS: "numbers",
    _INTEGERS: "integers",
    _TEXT: "text (a unicode array)",
    _NUMBERS + _TEXT: "numbers, or text for classes",
}


@dataclass(frozen=True)
class CodesAndFactors:
    """The contents of a file. All fields but the last three are named as the file's arrays are."""

    codes: Shaped[np.ndarray, "samples latents"]
    factors: Shaped[np.ndarray, "samples factors"]
    factor_names: tuple[str, ...] | None = None
    factor_sizes: tuple[int, ...] | None = None
    """How many values each factor can take."""
    factor_kinds: tuple[FactorKind, ...] | None = None
    """The kinds that the file states, or else those by the rule for files."""
    posterior_logvar: Shaped[np.ndarray, "samples latents"] | None = None
    posterior_sample: Shaped[np.ndarray, "samples latents"] | None = None
    code_names: tuple[str, ...] | None = None
    kind_notes: tuple[str | None, ...] = ()
    """What was assumed of each factor's kind if the rule decided it, else None."""
    left_aside: tuple[LeftAside, ...] = ()
    assumed: tuple[str, ...] = ()
    """Everything else that a rule decided."""

    def called(self) -> tuple[str, ...]:
        """The factors' names, or factor_0, factor_1, … if the file has none."""
        return self.factor_names or tuple(f"factor_{k}" for k in range(self.factors.shape[1]))

    def codes_called(self) -> tuple[str, ...]:
        """The codes' names, or z0, z1, … if the file has none."""
        return self.code_names or tuple(f"z{k}" for k in range(self.codes.shape[1]))

    def assumptions(self) -> tuple[str, ...]:
        """Everything that a rule decided about the file and its factors."""
        notes = zip(self.called(), self.kind_notes, strict=False)
        return (*self.assumed, *(f"factor {name!r}: {note}" for name, note in notes if note))


OF_CODES = ("codes", "code_names", "posterior_logvar", "posterior_sample")
OF_FACTORS = ("factors", *_PER_FACTOR)
Side = Literal["codes", "factors"]
SIDES: dict[Side, tuple[str, ...]] = {"codes": OF_CODES, "factors": OF_FACTORS}
ALIASES: dict[Side, tuple[str, ...]] = {"codes": CODES_ARRAYS, "factors": FACTORS_ARRAYS}

KNOWN = (
    *("codes", "factors", *_PER_FACTOR),
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


def read_arrays(
    file: BinaryIO,
    *,
    most_bytes: int = MOST_BYTES,
    codes_array: str | None = None,
    factors_array: str | None = None,
    factor_kinds: Sequence[FactorKind] | None = None,
) -> CodesAndFactors:
    """Read a file as `numpy.savez` and `savez_compressed` write it, or the codes.npz of a run.

    Nothing is unpickled. The sizes that members and headers declare are checked before memory is
    allocated, so that a small file cannot take much memory.

    Args:
        file: a seekable file, open for reading in binary.
        most_bytes: the most bytes of all arrays that are read together, inflated.
        codes_array: the array that has the codes, if it is not the one that the names suggest.
        factors_array: the same for the factors.
        factor_kinds: one kind for each factor. They take precedence over the file and the rule.

    Raises:
        UnusableArrays: this is no such file, or its arrays cannot be scored: a name, dtype or shape
            does not fit, a value is NaN or infinite, or several arrays may be meant.
    """
    chosen: dict[Side, str | None] = {"codes": codes_array, "factors": factors_array}
    found = npz_arrays(file, chosen, most_bytes=most_bytes)
    return with_kinds(codes_and_factors(found), factor_kinds)


def npz_arrays(
    file: BinaryIO,
    chosen: dict[Side, str | None],
    *,
    most_bytes: int = MOST_BYTES,
) -> Found:
    """The arrays of an npz that belong to the sides (codes or factors) that are keys of `chosen`.

    Raises:
        UnusableArrays: as in `read_arrays`.
    """
    try:
        with open_npz(file) as archive:
            return find_arrays(_Npz(archive), chosen, most_bytes=most_bytes)
    except UnusableArrays:
        raise
    except Exception as error:
        # On made-up bytes, zipfile, zlib and numpy's parser of headers raise a dozen kinds.
        reason = str(error) or type(error).__name__
        expected = "a whole npz file, as numpy.savez writes it; heddle score reads other kinds"
        raise UnusableArrays([Fault("", shown(reason), expected)]) from None


class _Npz:
    """The members of an npz."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        for info in archive.infolist():
            self._members.setdefault(info.filename.removesuffix(".npy"), []).append(info)

    def names(self) -> list[str]:
        return list(self._members)

    def faults(self, wanted: Sequence[str], most_bytes: int) -> list[Fault]:
        found = []
        for name in wanted:
            info, *others = self._members[name]
            if others:
                found.append(Fault(shown(name), "two members of this name", "one"))
            elif not info.filename.endswith(".npy"):
                found.append(Fault(shown(name), shown(info.filename), f"a member {name}.npy"))
            elif (unread := unreadable(info)) is not None:
                found.append(Fault(shown(name), *unread))
        total = sum(self._members[name][0].file_size for name in wanted)
        if total > most_bytes:
            found.append(Fault("", f"{total} bytes inflated", f"at most {most_bytes} bytes"))
        return found

    def read(self, name: str, check: Check) -> Any:
        try:
            return read_member(self._archive, self._members[name][0], check)
        except OtherSize as error:
            expected = f"{error.declared}, as its header says"
            raise UnusableArrays([Fault(shown(name), f"{error.held} bytes", expected)]) from None


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
    if part in (*_PER_FACTOR, "code_names"):
        return array.tolist()
    if array.dtype.kind == "U":
        letters = np.ascontiguousarray(array).view(np.uint32)
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))).any():
            raise UnusableArrays([Fault(name, "numbers that are no letters", "printable text")])
    if part == "factors" and array.ndim == 1:
        found.assumed.append(f"{name!r} has one dimension: one factor")
        array = array[:, None]
    return array


def codes_and_factors(found: Found) -> CodesAndFactors:
    """The arrays, checked against each other.

    Raises:
        UnusableArrays: their shapes do not match, or values cannot be computed with.
    """
    arrays = found.arrays
    if arrays["factors"].shape[0] == 1 and arrays["factors"].shape[1] == len(arrays["codes"]) > 1:
        # scipy.io.savemat writes an array of one dimension in this way.
        found.assumed.append("the factors are one row, as long as there are codes: one factor")
        arrays["factors"] = arrays["factors"].T
    if faults := _mismatches(arrays):
        raise UnusableArrays(faults)
    texts = {name: tuple(arrays[name]) for name in (*_PER_FACTOR, "code_names") if name in arrays}
    return CodesAndFactors(
        **{**arrays, **texts},
        left_aside=tuple(found.left_aside),
        assumed=tuple(found.assumed),
    )


def with_kinds(
    arrays: CodesAndFactors, said: Sequence[FactorKind | None] | None = None
) -> CodesAndFactors:
    """The arrays with a kind for each factor: the one in `said`, else the file's, else the rule's.

    Text becomes numbers. Floating numbers that are integers are classes if they are few.

    Raises:
        UnusableArrays: a factor's values cannot be read without ambiguity.
    """
    count = arrays.factors.shape[1]
    if said is None or len(said) != count:
        said = (None,) * count
    kinds = [given or own for given, own in zip(said, arrays.factor_kinds or said, strict=True)]
    columns: list[FactorColumn] = []
    faults = []
    for place, (name, kind) in enumerate(zip(arrays.called(), kinds, strict=True)):
        try:
            columns.append(_column(arrays.factors[:, place], kind))
            if kind is None and counts_rows(columns[-1].values):
                raise UnusableColumn("counts the rows, as an index does: leave that column out")
        except UnusableColumn as error:
            expected = "numbers, or text for classes (say which by factor_kinds, --factor-kinds)"
            faults.append(Fault("factors", f"factor {name!r} {error}", expected))
    if faults:
        raise UnusableArrays(faults)
    # Numbers stay as they are in the file. Metrics round and rank them as they need.
    is_text = arrays.factors.dtype.kind == "U"
    factors = np.stack([one.values for one in columns], axis=1) if is_text else arrays.factors
    return replace(
        arrays,
        factors=factors,
        factor_kinds=tuple(one.kind for one in columns),
        kind_notes=tuple(one.note for one in columns),
    )


def _column(values: np.ndarray, kind: FactorKind | None) -> FactorColumn:
    if values.dtype.kind != "U":
        return column_of_numbers(values, kind)
    texts = pa.array(values)
    if isinstance(texts, pa.ChunkedArray):
        # Long texts come in chunks.
        texts = texts.combine_chunks()
    texts = pc.utf8_trim_whitespace(texts)
    if bool(pc.any(is_missing(pc.unique(texts))).as_py()):
        missing = np.flatnonzero(is_missing(texts).to_numpy(zero_copy_only=False))
        raise UnusableColumn(f"has {len(missing)} missing values, the first in row {missing[0]}")
    return column_of_text(texts, kind)


def _mismatches(arrays: dict[str, Any]) -> list[Fault]:
    """Faults of arrays that do not match each other, or have values no metric can use."""
    codes, factors = arrays["codes"], arrays["factors"]
    if (fault := _transposed(codes.shape, factors.shape)) is not None:
        return [fault]
    faults = []
    if _one_hot(factors):
        expected = "a column of classes for each factor, as factors.argmax(axis=1)"
        got = f"{factors.shape[1]} columns with a single 1 in each row, as one factor one-hot"
        faults.append(Fault("factors", got, expected))
    if len(factors) != len(codes):
        faults.append(Fault("factors", f"{len(factors)} rows", f"{len(codes)} rows, as in codes"))
    elif len(codes) < 2:
        faults.append(Fault("codes", "1 row", "at least 2 rows"))
    for name, most in (("codes", MOST_LATENTS), ("factors", MOST_FACTORS)):
        if arrays[name].shape[1] > most:
            faults.append(Fault(name, list(arrays[name].shape), f"at most {most:,} columns"))
    for name in ("posterior_logvar", "posterior_sample"):
        if name in arrays and arrays[name].shape != codes.shape:
            expected = f"the shape {list(codes.shape)} of codes"
            faults.append(Fault(name, list(arrays[name].shape), expected))
    for names, of in ((_PER_FACTOR, factors), (("code_names",), codes)):
        for name in names:
            if name in arrays and len(arrays[name]) != of.shape[1]:
                what = "factors" if of is factors else "codes"
                expected = f"{of.shape[1]}, one for each column of {what}"
                faults.append(Fault(name, len(arrays[name]), expected))
    for name, array in arrays.items():
        if getattr(array, "ndim", 0) == 2 and (fault := _not_finite(name, array)):
            faults.append(fault)
    faults += _bad_text(arrays)
    if (smallest := min(arrays.get("factor_sizes", (1,)))) < 1:
        faults.append(Fault("factor_sizes", smallest, "at least 1"))
    return faults


def _transposed(codes: tuple[int, ...], factors: tuple[int, ...]) -> Fault | None:
    """A fault if arrays seem to have their samples along the second dimension."""
    got = f"codes {list(codes)} and factors {list(factors)}"
    both = "codes.T and factors.T"
    if codes[0] != factors[0]:
        wide_codes, wide_factors = codes[0] < codes[1], factors[0] < factors[1]
        turns = (
            (both, wide_codes and wide_factors and codes[1] == factors[1]),
            ("codes.T", wide_codes and codes[1] == factors[0]),
            ("factors.T", wide_factors and factors[1] == codes[0]),
        )
        turned = next((turn for turn, fits in turns if fits), None)
    else:
        # Fewer samples than latents, and than factors.
        turned = both if 1 < codes[0] < min(codes[1], factors[1]) else None
    if turned is None:
        return None
    expected = "(samples, latents) and (samples, factors), samples first"
    return Fault("", got, f"{expected}: these look transposed; save {turned} in their place")


def _one_hot(factors: np.ndarray) -> bool:
    """Whether the columns are the classes of a single factor, with three classes or more."""
    rows, columns = factors.shape
    if columns < 3 or rows < ROWS_A_CLASS * columns or factors.dtype.kind == "U":
        return False
    # The first rows nearly always suffice to rule it out.
    return all(
        bool(((part == 0) | (part == 1)).all() and (part.sum(axis=1) == 1).all())
        for part in (factors[:100], factors)
    )


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
    for names in ("factor_names", "code_names"):
        # Printable text has no NUL and no surrogates, which no database can hold.
        bad = [name for name in arrays.get(names, ()) if not name or not name.isprintable()]
        if bad:
            expected = f"printable names of 1 to {LONGEST_NAME} letters"
            faults.append(Fault(names, shown(bad[0]), expected))
    if "factor_kinds" in arrays:
        known = get_args(FactorKind)
        for kind in arrays["factor_kinds"]:
            if kind not in known:
                expected = "one of " + ", ".join(known)
                faults.append(Fault("factor_kinds", shown(kind), expected, nearest(kind, known)))
                break
    return faults
