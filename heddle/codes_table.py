"""Codes and factors in a table, CSV or Parquet, as the arrays that an npz of them holds."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from heddle.errors import SpecError

_EXACT = 2**53
"""Integers beyond are not all numbers of 64 bits."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
CODE = re.compile(r"(z|code|latent)_?\d+")
"""What columns of codes are called where nobody says which they are."""
MOST_SHOWN = 12


class UnusableTable(SpecError):
    """No codes and factors can be read from a table: says which column, and why."""


def is_table(path: Path) -> bool:
    """Whether a file is read here, by its suffix."""
    return path.suffix.lower() in (*SEPARATORS, *PARQUET)


def read_table(
    path: Path, *, codes: Sequence[str] = (), factors: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """`codes`, `factors`, `factor_names` and `factor_kinds` of a table with a row a sample.

    Columns are chosen by names and patterns (`z*`) and keep the order of the table. By default
    those called z0, code_0, latent_0 and so on are codes, and all others are factors. Text, truth
    values and integers are discrete factors (text a class each, in alphabetical order), other
    numbers continuous ones. Codes are float32 where all their columns are, else float64.

    Raises:
        UnusableTable: the file cannot be read, or it says which column cannot be used.
    """
    table = _read(path)
    if table.num_rows < 2:
        raise UnusableTable(f"{path} has {table.num_rows} rows, expected at least 2")
    of_codes, of_factors = _columns(path, table.column_names, codes, factors)
    columns = [_factor(table, name) for name in of_factors]
    kinds = ["continuous" if column.dtype.kind == "f" else "discrete" for column in columns]
    return {
        "codes": np.stack([_code(table, name) for name in of_codes], axis=1),
        "factors": np.stack(columns, axis=1),
        "code_names": np.array(of_codes),
        "factor_names": np.array(of_factors),
        "factor_kinds": np.array(kinds),
    }


def chosen(patterns: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """The names that any of the patterns is or matches, in their own order.

    Raises:
        UnusableTable: a pattern matches none of them.
    """
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnusableTable(f"No {what} is called {pattern!r}{hint} There are {_shown(names)}")
    return [name for name in names if any(_matches(name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _read(path: Path) -> Any:
    try:
        if path.suffix.lower() in PARQUET:
            return pa.parquet.read_table(path)
        return pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(delimiter=SEPARATORS[path.suffix.lower()]),
            # An empty cell of a column of text is missing, as it is among numbers.
            convert_options=pa.csv.ConvertOptions(strings_can_be_null=True),
        )
    except (OSError, pa.ArrowException) as error:
        raise UnusableTable(f"Cannot read the table {path}", detail=str(error)) from error


def _columns(
    path: Path, names: list[str], codes: Sequence[str], factors: Sequence[str]
) -> tuple[list[str], list[str]]:
    for name, count in Counter(names).items():
        if count > 1:
            raise UnusableTable(f"{path} has {count} columns called {name!r}, expected one")
    of_factors = chosen(factors, names, "column")
    of_codes = chosen(codes, names, "column") or [
        name for name in names if CODE.fullmatch(name) and name not in of_factors
    ]
    if both := [name for name in of_codes if name in of_factors]:
        raise UnusableTable(f"Column {both[0]!r} is chosen for codes and for factors")
    of_factors = of_factors or [name for name in names if name not in of_codes]
    if not of_codes:
        raise UnusableTable(
            f"{path} has no columns called z0, code_0 or latent_0 and so on; say by --codes which"
            f" are codes. There are {_shown(names)}"
        )
    if not of_factors:
        raise UnusableTable(f"{path} has no columns besides the codes {_shown(of_codes)}")
    return of_codes, of_factors


def _code(table: Any, name: str) -> np.ndarray:
    column = _without_gaps(table, name)
    if _is_number(column.type):
        return _numbers(column, name)
    row = next((row for row, cell in enumerate(column) if not _reads_as_number(cell)), 0)
    raise UnusableTable(
        f"Column {name!r} of codes is of type {column.type} and has {column[row]} in row {row}"
        " (rows count from 0), expected numbers; say by --codes which columns are codes"
    )


def _factor(table: Any, name: str) -> np.ndarray:
    column = _without_gaps(table, name)
    if _is_text(column.type):
        texts = column.to_numpy(zero_copy_only=False).astype(str)
        values = np.unique(texts, return_inverse=True)[1].astype(np.int64)
    elif pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        values = column.to_numpy(zero_copy_only=False)
        if (values > _EXACT).any() or (values < -_EXACT).any():
            # Beside a column of floats they would be rounded, and merge.
            values = np.unique(values, return_inverse=True)[1]
        values = values.astype(np.int64)
    elif _is_number(column.type):
        values = _numbers(column, name).astype(np.float64)
    else:
        raise UnusableTable(
            f"Column {name!r} of factors is of type {column.type}, expected numbers or text;"
            " say by --factors which columns are factors"
        )
    number = len(np.unique(values))
    if number == 1:
        raise UnusableTable(
            f"Column {name!r} of factors has the single value {column[0]}; say by --factors which"
            " columns are factors"
        )
    if number == len(values) and values.dtype.kind == "i":
        raise UnusableTable(
            f"Column {name!r} of factors is different in every row, as an index is; say by"
            " --factors which columns are factors"
        )
    return values


def _without_gaps(table: Any, name: str) -> Any:
    column = table.column(name).combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        gaps = np.flatnonzero(column.is_null(nan_is_null=False).to_numpy(zero_copy_only=False))
        raise UnusableTable(
            f"Column {name!r} has {len(gaps)} missing values, the first in row {gaps[0]}"
            " (rows count from 0)"
        )
    return column


def _numbers(column: Any, name: str) -> np.ndarray:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    single = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    values = values.astype(np.float32 if single else np.float64)
    if not (finite := np.isfinite(values)).all():
        row = int(finite.argmin())
        raise UnusableTable(
            f"Column {name!r} is {values[row]} in row {row} (rows count from 0), expected finite"
            " numbers"
        )
    return values


def _is_number(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _reads_as_number(cell: Any) -> bool:
    try:
        float(cell.as_py())
    except (TypeError, ValueError):
        return False
    return True


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(map(repr, names[:MOST_SHOWN])) + more
