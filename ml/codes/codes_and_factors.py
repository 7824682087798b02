"""Codes and factors that can be scored: arrays of a file that are checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

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
from ml.codes.found_arrays import (
    LONGEST_NAME,
    MOST_FACTORS,
    MOST_LATENTS,
    PER_FACTOR,
    Found,
    UnusableArrays,
)
from ml.codes.rows import FactorKind
from ml.components.registry import nearest
from ml.components.spec_errors import Fault, shown


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
    texts = {name: tuple(arrays[name]) for name in (*PER_FACTOR, "code_names") if name in arrays}
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
    for names, of in ((PER_FACTOR, factors), (("code_names",), codes)):
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
