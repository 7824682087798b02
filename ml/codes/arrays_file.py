"""Codes and factors in a file of named arrays, read without trusting a byte of it.

What is understood of an npz here is the same for the service, a worker and the command line.
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
"""Of all arrays of a file together, inflated."""
MOST_ROWS = 2_000_000
MOST_LATENTS = 4096
MOST_FACTORS = 256
LONGEST_NAME = 200
MOST_NAMED = 100
"""Arrays that are named as left aside, or in an error."""

CODES_ARRAYS = (
    *("codes", "z", "mu", "mean", "means", "z_mean", "codes_mean", "latent", "latents"),
    *("latent_codes", "representation", "representations", "embedding", "embeddings"),
)
"""What an array of codes may be called; the first goes before all others."""
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
    """What a file holds; the fields are named as its arrays are, but for the last three."""

    codes: Shaped[np.ndarray, "samples latents"]
    factors: Shaped[np.ndarray, "samples factors"]
    factor_names: tuple[str, ...] | None = None
    factor_sizes: tuple[int, ...] | None = None
    """How many values each factor can take."""
    factor_kinds: tuple[FactorKind, ...] | None = None
    """As the file says, or else by the rule for files."""
    posterior_logvar: Shaped[np.ndarray, "samples latents"] | None = None
    posterior_sample: Shaped[np.ndarray, "samples latents"] | None = None
    code_names: tuple[str, ...] | None = None
    kind_notes: tuple[str | None, ...] = ()
    """What was assumed of each factor's kind, where the rule decided."""
    left_aside: tuple[LeftAside, ...] = ()
    assumed: tuple[str, ...] = ()
    """What else was decided by a rule."""

    def called(self) -> tuple[str, ...]:
        """The factors' names, or factor_0, factor_1, … where the file does not tell."""
        return self.factor_names or tuple(f"factor_{k}" for k in range(self.factors.shape[1]))

    def codes_called(self) -> tuple[str, ...]:
        """The codes' names, or z0, z1, … where the file does not tell."""
        return self.code_names or tuple(f"z{k}" for k in range(self.codes.shape[1]))

    def assumptions(self) -> tuple[str, ...]:
        """All that was decided by a rule, of the file and of its factors."""
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
"""The arrays that a file may hold; codes and factors are required."""

_OWN = {"mean": "codes", "log_variance": "posterior_logvar", "sample": "posterior_sample"}
_OWN_BESIDES = {"factors", "index", "kl", "reconstruction", "train_rows"}
"""What else the codes.npz of a run holds; only the factors of it are read."""


class UnusableArrays(ValueError):
    """A file that cannot be scored; `faults` lists why, with arrays' names as paths."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)[:MOST_FAULTS]
        # A fault without a path is one of a spec, elsewhere.
        told = (replace(fault, path=fault.path or "file") for fault in self.faults)
        super().__init__("; ".join(map(str, told)))


class _PickledNames(Exception):
    """Names of dtype object: a score can do without."""


Check = Callable[[tuple[int, ...], np.dtype[Any]], None]


class HeldArrays(Protocol):
    """A file's arrays, each of which is read when it is asked for."""

    def names(self) -> Sequence[str]:
        """All of them, in their order."""

    def faults(self, wanted: Sequence[str], most_bytes: int) -> list[Fault]:
        """What the file's directory tells against reading these."""

    def read(self, name: str, check: Check) -> Any:
        """One array; `check` refuses it by its shape and dtype before memory is taken for it."""


@dataclass
class Found:
    """Arrays by their part in scoring, unchecked beside each other, and what stood beside them."""

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

    Nothing is unpickled. What members and headers declare is checked before memory is taken for
    it, so that a small file cannot ask for much.

    Args:
        file: open for reading in binary, seekable.
        most_bytes: of all arrays that are read together, inflated.
        codes_array: which array has the codes, where it is not the one that goes without saying.
        factors_array: the same of the factors.
        factor_kinds: one for each factor; go before what the file says and before the rule.

    Raises:
        UnusableArrays: it is no such file, or its arrays cannot be scored: a name, dtype or shape
            that does not fit, NaN or infinities, or more than one array that may be meant.
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
    """The arrays of an npz that have a part in the sides that are keys of `chosen`.

    Raises:
        UnusableArrays: as `read_arrays`.
    """
    try:
        with open_npz(file) as archive:
            return find_arrays(_Npz(archive), chosen, most_bytes=most_bytes)
    except UnusableArrays:
        raise
    except Exception as error:
        # zipfile, zlib and numpy's parser of headers raise a dozen kinds on made-up bytes.
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
    """The arrays that have a part in the sides that are keys of `chosen`, each checked by itself.

    Raises:
        UnusableArrays: an array is missing, of the wrong dtype or shape, or several may be meant.
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
    """The arrays' names by their parts in scoring, and what is wrong with them."""
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
        # What is known of the posterior goes with its means alone.
        if asked in (None, of_run.get(side, side)) or side == "factors":
            parts |= usual
        parts[side] = main
    if not of_run:
        faults += _misspelt(names, parts)
    return parts, faults


def _main(
    side: Side, asked: str | None, names: Sequence[str], usual: str | None, found: Found
) -> tuple[str | None, Fault | None]:
    """Which array has the codes, or the factors."""
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
    """The first of names that may be thousands."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(shown, names[:MOST_NAMED])) + more


def _last(name: str) -> str:
    """`latents` of `Test/Latents`, as in HDF5."""
    return name.rpartition("/")[2].lower()


def _misspelt(names: Sequence[str], parts: dict[str, str]) -> list[Fault]:
    """Arrays that are almost called as one that is missing: leaving them aside may be wrong."""
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
    """Refuse an array by what it says of itself."""
    kinds = _KINDS.get(part, _NUMBERS)
    if dtype.kind == "O" and part in ("factor_names", "code_names"):
        raise _PickledNames
    is_bfloat16 = _is_bfloat16(dtype) and "f" in kinds
    if (dtype.kind not in kinds and not is_bfloat16) or (dtype.kind == "f" and dtype.itemsize > 8):
        got, expected = f"dtype {dtype.name}", _EXPECTED_KIND[kinds]
        if dtype.kind == "O":
            told = "labels" if part == "factors" else "text"
            expected += (
                f"; objects are pickles, which are never read: save {told} by"
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
    # A single factor may be a plain list of labels; rows of samples are told apart later.
    fits = fits or (part == "factors" and len(shape) == 1 and 0 < shape[0] <= MOST_ROWS)
    fits = fits or (part in SIDES and len(shape) == 2 and 0 < shape[0] < shape[1] <= MOST_ROWS)
    if not fits:
        bounds = " x ".join(f"{bound:,}" for bound in most)
        expected = f"the shape {what}, from 1 to {bounds}"
        raise UnusableArrays([Fault(name, shown(list(shape)), expected)])


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    # So numpy.save writes the bfloat16 of ml_dtypes, which it does not know.
    return dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None


def _plain(part: str, name: str, array: Any, found: Found) -> Any:
    """An array as numbers and text that numpy knows, in two dimensions where it has samples."""
    if _is_bfloat16(array.dtype):
        found.assumed.append(f"{name!r} has the dtype {array.dtype.str}, read as bfloat16")
        # The upper half of a float32.
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
    """Arrays that go together. Raises `UnusableArrays`."""
    arrays = found.arrays
    if arrays["factors"].shape[0] == 1 and arrays["factors"].shape[1] == len(arrays["codes"]) > 1:
        # As scipy.io.savemat writes an array of one dimension.
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
    """The same with a kind for each factor: as said, else as in the file, else by the rule.

    Text becomes numbers. Floating numbers that are integers are classes if they are few.

    Raises:
        UnusableArrays: a factor's values cannot be told apart for certain.
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
    # Numbers stay as they came: rounding and ranks are the metrics' affair.
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
        # Of long texts.
        texts = texts.combine_chunks()
    texts = pc.utf8_trim_whitespace(texts)
    if bool(pc.any(is_missing(pc.unique(texts))).as_py()):
        missing = np.flatnonzero(is_missing(texts).to_numpy(zero_copy_only=False))
        raise UnusableColumn(f"has {len(missing)} missing values, the first in row {missing[0]}")
    return column_of_text(texts, kind)


def _mismatches(arrays: dict[str, Any]) -> list[Fault]:
    """What does not go together, and values that nothing can be computed from."""
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
    """Arrays that have their samples along the second dimension."""
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
    """Whether it is a single factor of three classes or more, a column a class."""
    rows, columns = factors.shape
    if columns < 3 or rows < ROWS_A_CLASS * columns or factors.dtype.kind == "U":
        return False
    # The first rows tell nearly always.
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
        # Printable leaves out NUL and halves of letters, which no database can hold.
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
