"""Codes and factors in a file of any kind: npz, npy, HDF5, MATLAB, CSV, TSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heddle.errors import FieldError, SpecError
from heddle.local.array_files import ARRAYS, NPY, read_held
from heddle.local.choice import Choice
from heddle.local.codes_table import find_codes_and_factors
from heddle.local.columns import chosen, matching
from heddle.local.csv_text import SEPARATORS
from heddle.local.inflated import SUFFIXES
from heddle.local.table import PARQUET, is_table, open_table
from ml.codes.codes_and_factors import CodesAndFactors, codes_and_factors, with_kinds
from ml.codes.found_arrays import KNOWN, LONGEST_NAME, Found, Side, UnusableArrays
from ml.codes.rows import FactorKind
from ml.components.spec_errors import Fault

KINDS: tuple[FactorKind, ...] = ("discrete", "continuous")


class UnusableFile(SpecError):
    """A file that cannot be scored; its errors name arrays or columns."""


def read_codes(path: Path, choice: Choice) -> CodesAndFactors:
    """Codes and factors of a file, or of a file of codes and one of factors.

    Raises:
        UnusableFile, UnusableTable: the file cannot be read, or its contents cannot be scored.
    """
    try:
        return _read(path, choice)
    except OSError as error:
        raise UnusableFile(f"Cannot read {error.filename}", detail=error.strerror) from error
    except UnusableArrays as error:
        raise UnusableFile(f"{path} cannot be scored", errors=errors_of(error.faults)) from error


def _read(path: Path, choice: Choice) -> CodesAndFactors:
    factors_file, assumed = choice.factors_file, []
    if factors_file is None and (beside := _beside(path)) is not None:
        factors_file = beside
        assumed.append(f"the factors are those of {beside.name}")
    if factors_file is None:
        found = _found(path, ("codes", "factors"), choice)
    else:
        found = _found(path, ("codes",), choice)
        of_factors = _found(factors_file, ("factors",), choice)
        assumed.append(f"each row of {factors_file.name} belongs to the same row of {path.name}")
        found = Found(
            found.arrays | of_factors.arrays,
            [*found.left_aside, *of_factors.left_aside],
            [*found.assumed, *of_factors.assumed],
        )
    found.assumed += assumed
    arrays = codes_and_factors(found)
    if not is_table(path) and not is_table(factors_file or path) and choice.drop:
        chosen(choice.drop, [*arrays.codes_called(), *arrays.called()], "code or factor")
    if not is_table(path):
        arrays = _selected_codes(arrays, choice)
    if not is_table(factors_file or path):
        arrays = _selected_factors(arrays, choice)
        return with_kinds(arrays, _in_order(choice.kinds, arrays.called()))
    return arrays


def _beside(path: Path) -> Path | None:
    """The factors.npy beside a codes.npy, if there is one."""
    if path.suffix.lower() not in NPY or "codes" not in path.name:
        return None
    beside = path.with_name(path.name.replace("codes", "factors"))
    return beside if beside.is_file() else None


def _found(path: Path, sides: tuple[Side, ...], choice: Choice) -> Found:
    """Read the arrays or columns of these sides from a file."""
    of_array = {"codes": choice.codes_array, "factors": choice.factors_array}
    if is_table(path):
        for side in sides:
            if of_array[side] is not None:
                raise SpecError(f"{path} is a table; columns are chosen by --{side}")
        return find_codes_and_factors(
            open_table(path, choice.dialect),
            sides,
            codes=choice.codes,
            factors=choice.factors,
            drop=choice.drop,
            said=lambda names: _said(choice.kinds, names),
        )
    if path.suffix.lower() not in ARRAYS:
        known = ", ".join([*ARRAYS, *SEPARATORS, *PARQUET])
        compressed = "/".join(SUFFIXES)
        raise UnusableFile(
            f"Got the file {path}, expected .npz, .csv, .tsv or another of {known} (CSV and TSV"
            f" may be compressed: {compressed})"
        )
    return read_held(path, {side: of_array[side] for side in sides})


def _selected_codes(arrays: CodesAndFactors, choice: Choice) -> CodesAndFactors:
    """The arrays with only the codes that were chosen by name."""
    names = arrays.codes_called()
    kept = _kept(names, choice.codes, choice.drop, "code")
    if kept is None:
        return arrays
    logvar, sample = arrays.posterior_logvar, arrays.posterior_sample
    return replace(
        arrays,
        codes=arrays.codes[:, kept],
        code_names=tuple(names[column] for column in kept),
        posterior_logvar=None if logvar is None else logvar[:, kept],
        posterior_sample=None if sample is None else sample[:, kept],
    )


def _selected_factors(arrays: CodesAndFactors, choice: Choice) -> CodesAndFactors:
    """The arrays with only the factors that were chosen by name."""
    names = arrays.called()
    kept = _kept(names, choice.factors, choice.drop, "factor")
    if kept is None:
        return arrays
    sizes, kinds = arrays.factor_sizes, arrays.factor_kinds
    return replace(
        arrays,
        factors=arrays.factors[:, kept],
        factor_names=tuple(names[column] for column in kept),
        factor_sizes=None if sizes is None else tuple(sizes[column] for column in kept),
        factor_kinds=None if kinds is None else tuple(kinds[column] for column in kept),
    )


def _kept(
    names: Sequence[str], patterns: Sequence[str], drop: Sequence[str], what: str
) -> list[int] | None:
    """The places of the names that were chosen; None if nothing was chosen."""
    if not patterns and not drop:
        return None
    wanted = chosen(patterns, names, what) if patterns else list(names)
    left = set(wanted).difference(*(matching(pattern, names) for pattern in drop))
    return [place for place, name in enumerate(names) if name in left]


def _in_order(given: str | None, names: Sequence[str]) -> list[FactorKind | None]:
    said = _said(given, names)
    return [said.get(name) for name in names]


def _said(given: str | None, names: Sequence[str]) -> dict[str, FactorKind]:
    """The kinds that the user gives, by the names of the factors."""
    if given is None:
        return {}
    kinds: dict[str, FactorKind] = {}
    parts = [part.strip() for part in given.split(",")]
    if "=" in given:
        for part in parts:
            pattern, _, kind = part.partition("=")
            kinds |= dict.fromkeys(chosen([pattern], names, "factor"), _kind(kind))
    elif len(parts) in (1, len(names)):
        kinds = dict(zip(names, map(_kind, parts * (len(names) // len(parts))), strict=True))
    else:
        raise SpecError(
            f"Got {len(parts)} factor kinds, expected one for all, one for each of {len(names)}"
            f" factors ({', '.join(names)}), or name=kind"
        )
    return kinds


def _kind(given: str) -> FactorKind:
    for kind in KINDS:
        if given == kind:
            return kind
    raise SpecError(f"Got the factor kind {given!r}, expected one of {', '.join(KINDS)}")


def name_of(path: Path) -> str:
    """The name of an evaluation of this file: the file's name, cut to the longest allowed."""
    return path.name[:LONGEST_NAME]


def write_npz(path: Path, arrays: CodesAndFactors) -> None:
    """Write an npz that `ml.codes.arrays_file` reads."""
    held: dict[str, Any] = {
        name: np.asarray(value) for name in KNOWN if (value := getattr(arrays, name)) is not None
    }
    np.savez(path, **held)


def errors_of(faults: Sequence[Fault]) -> list[FieldError]:
    """The faults of a spec or a file, as errors of the client."""
    return [
        FieldError(fault.path or "file", fault.got, fault.expected, fault.nearest)
        for fault in faults
    ]
