"""Codes and factors in a file of any kind: npz, CSV, TSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from heddle.codes_table import chosen, is_table, read_table
from heddle.errors import FieldError, SpecError
from ml.arrays_file import CodesAndFactors, UnusableArrays, read_arrays
from ml.spec_errors import Fault

KINDS = ("discrete", "continuous")


class UnusableFile(SpecError):
    """A file that cannot be scored; its errors name arrays or columns."""


@dataclass(frozen=True)
class Choice:
    """What the caller says of a file's columns."""

    codes: Sequence[str] = ()
    """Names and patterns of the codes; in an npz without names they are z0, z1, …"""
    factors: Sequence[str] = ()
    kinds: str | None = None
    """`discrete`, one kind a factor, or `scale=discrete,x=continuous`."""

    def __bool__(self) -> bool:
        return bool(self.codes or self.factors or self.kinds)


def read_codes(path: Path, choice: Choice) -> CodesAndFactors:
    """Codes and factors of an npz, CSV, TSV or Parquet file.

    Raises:
        UnusableFile, UnusableTable: it cannot be read, or holds what cannot be scored.
    """
    arrays = _read(path, choice)
    if choice.kinds is None:
        return arrays
    return replace(arrays, factor_kinds=_kinds(choice.kinds, arrays))


def _read(path: Path, choice: Choice) -> CodesAndFactors:
    if is_table(path):
        table = read_table(path, codes=choice.codes, factors=choice.factors)
        return CodesAndFactors(
            codes=table["codes"],
            factors=table["factors"],
            code_names=tuple(table["code_names"].tolist()),
            factor_names=tuple(table["factor_names"].tolist()),
            factor_kinds=tuple(table["factor_kinds"].tolist()),
        )
    if path.suffix.lower() != ".npz":
        raise UnusableFile(f"Got the file {path}, expected .npz, .csv, .tsv, .parquet or .pq")
    try:
        with path.open("rb") as file:
            arrays = read_arrays(file)
    except OSError as error:
        raise UnusableFile(f"Cannot read {path}", detail=error.strerror) from error
    except UnusableArrays as error:
        raise UnusableFile(f"{path} cannot be scored", errors=told(error.faults)) from error
    return _selected(arrays, choice)


def _selected(arrays: CodesAndFactors, choice: Choice) -> CodesAndFactors:
    """The columns of an npz that were chosen by name."""
    if choice.codes:
        names = list(arrays.code_names or (f"z{k}" for k in range(arrays.codes.shape[1])))
        kept = [names.index(name) for name in chosen(choice.codes, names, "code")]
        logvar, sample = arrays.posterior_logvar, arrays.posterior_sample
        arrays = replace(
            arrays,
            codes=arrays.codes[:, kept],
            code_names=tuple(names[column] for column in kept),
            posterior_logvar=None if logvar is None else logvar[:, kept],
            posterior_sample=None if sample is None else sample[:, kept],
        )
    if choice.factors:
        names = factor_names(arrays)
        kept = [names.index(name) for name in chosen(choice.factors, names, "factor")]
        sizes, kinds = arrays.factor_sizes, arrays.factor_kinds
        arrays = replace(
            arrays,
            factors=arrays.factors[:, kept],
            factor_names=tuple(names[column] for column in kept),
            factor_sizes=None if sizes is None else tuple(sizes[column] for column in kept),
            factor_kinds=None if kinds is None else tuple(kinds[column] for column in kept),
        )
    return arrays


def factor_names(arrays: CodesAndFactors) -> list[str]:
    """The factors' names, or factor_0, factor_1, … where the file does not tell."""
    return list(arrays.factor_names or (f"factor_{k}" for k in range(arrays.factors.shape[1])))


def _kinds(given: str, arrays: CodesAndFactors) -> tuple[Any, ...]:
    names = factor_names(arrays)
    by_dtype = "continuous" if arrays.factors.dtype.kind == "f" else "discrete"
    kinds = dict(zip(names, arrays.factor_kinds or (by_dtype,) * len(names), strict=True))
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
    return tuple(kinds.values())


def _kind(given: str) -> str:
    if given not in KINDS:
        raise SpecError(f"Got the factor kind {given!r}, expected one of {', '.join(KINDS)}")
    return given


def write_npz(path: Path, arrays: CodesAndFactors) -> None:
    """The file that `ml.arrays_file` reads again."""
    held: dict[str, Any] = {
        name: np.asarray(value) for name, value in vars(arrays).items() if value is not None
    }
    np.savez(path, **held)


def told(faults: Sequence[Fault]) -> list[FieldError]:
    """What is wrong with a spec or a file, as the client's own errors."""
    return [
        FieldError(fault.path or "file", fault.got, fault.expected, fault.nearest)
        for fault in faults
    ]
