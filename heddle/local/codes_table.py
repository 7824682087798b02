"""Codes and factors in a table, CSV or Parquet, as the arrays of an npz."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heddle.local.columns import ChosenColumns, listed
from heddle.local.table import MOST_SHOWN, Table, UnusableTable, open_table
from ml.codes.factor_columns import (
    FactorColumn,
    UnusableColumn,
    column_of_labels,
    column_of_numbers,
    column_of_text,
    counts_rows,
    is_missing,
    numbers_of_text,
)
from ml.codes.file_account import LeftAside
from ml.codes.found_arrays import Found, Side
from ml.codes.rows import FactorKind

_EXACT = 2**53

Said = Callable[[Sequence[str]], Mapping[str, FactorKind]]
"""Gives the kinds that the user says, for factors of these names."""


def read_table(
    path: Path, *, codes: Sequence[str] = (), factors: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read `codes`, `factors`, `factor_names` and `factor_kinds` from a table, one row a sample.

    Raises:
        UnusableTable: the file cannot be read, or a column that is named cannot be used.
    """
    found = find_codes_and_factors(
        open_table(path), ("codes", "factors"), codes=codes, factors=factors
    )
    names = ("codes", "factors", "factor_names", "factor_kinds")
    return {name: np.asarray(found.arrays[name]) for name in names}


def find_codes_and_factors(
    table: Table,
    sides: Sequence[Side],
    *,
    codes: Sequence[str] = (),
    factors: Sequence[str] = (),
    drop: Sequence[str] = (),
    said: Said | None = None,
) -> Found:
    """Return the codes, the factors, or both, as arrays.

    Columns are chosen by names and patterns (`z*`) and keep the order of the table. By default
    columns called z0, code_0, latent_0 and so on are codes, and all others are factors. Text,
    truth values and integers are discrete factors; each text is a class, in alphabetical order.
    The kind of other numbers follows from the rule of `ml.codes.factor_columns`. Codes are float32
    where all their columns are, else float64.

    Raises:
        UnusableTable: a column cannot be used, which the error names.
    """
    if table.rows < 2:
        raise UnusableTable(f"{table.path} has {table.rows} rows, expected at least 2")
    chosen_columns = ChosenColumns(table, sides, codes, factors, drop)
    found = Found(assumed=[*table.assumed, *chosen_columns.assumed])
    if "codes" in sides:
        parts = [_code(table, name) for name in chosen_columns.codes]
        found.arrays["codes"] = np.stack(parts, axis=1)
        found.arrays["code_names"] = chosen_columns.codes
    if "factors" in sides:
        kinds = said(chosen_columns.factors) if said else {}
        unnamed = chosen_columns.unnamed - set(kinds)
        columns = {
            name: _factor(table, name, kinds.get(name), is_named=name not in unnamed)
            for name in chosen_columns.factors
        }
        _check_kinds(columns, unnamed)
        found.arrays["factors"] = np.stack([one.values for one in columns.values()], axis=1)
        found.arrays["factor_names"] = chosen_columns.factors
        found.arrays["factor_kinds"] = [one.kind for one in columns.values()]
        found.arrays["kind_notes"] = tuple(one.note for one in columns.values())
    found.left_aside = [
        LeftAside(name=name, why=why) for name, why in chosen_columns.left_aside.items()
    ]
    return found


def _check_kinds(columns: Mapping[str, FactorColumn], unnamed: set[str]) -> None:
    """Refuse columns that may be codes or losses: unnamed ones of many values beside classes."""
    like_codes = [name for name in columns if name in unnamed and not columns[name].few]
    classes = [name for name in columns if columns[name].few]
    if like_codes and classes:
        raise UnusableTable(
            f"Columns {listed(like_codes)} are not called as codes are (z0, code_0, latent_0 and so"
            f" on) and not named as factors, but have numbers of many values, while"
            f" {listed(classes)} may be classes; name the factors, as by --factors"
            f" {','.join(classes[:MOST_SHOWN])}, the codes by --codes, or leave columns out by"
            " --drop"
        )


def _code(table: Table, name: str) -> np.ndarray:
    values = numbers_of_text(table.columns[name]) if table.is_text else None
    if values is not None and np.isfinite(values).all():
        return _as_floats(values, name)
    column = _without_gaps(table, name)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not table.is_text and _is_number(column.type):
        values = _numbers(column, name)
    if values is None:
        row = next((row for row, cell in enumerate(column) if not _reads_as_number(cell)), 0)
        kind = "string" if table.is_text else column.type
        raise UnusableTable(
            f"Column {name!r} of codes is of type {kind} and has {column[row]} in row {row}"
            " (rows count from 0), expected numbers; say by --codes which columns are codes"
        )
    _check_finite(values, name)
    return _as_floats(values, name)


def _as_floats(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind == "f":
        return values
    if values.max() > _EXACT or values.min() < -_EXACT:
        raise UnusableTable(
            f"Column {name!r} of codes has integers beyond {_EXACT}, which floating numbers"
            " cannot tell apart; say by --codes which columns are codes"
        )
    return values.astype(np.float64)


def _factor(table: Table, name: str, said: FactorKind | None, *, is_named: bool) -> FactorColumn:
    column = _without_gaps(table, name)
    try:
        found = _column(table, name, column, said)
    except UnusableColumn as error:
        raise UnusableTable(
            f"Column {name!r} of factors {error}; say by --factors which columns are factors, by"
            f" --factor-kinds '{name}=discrete' that its values are classes, or leave it out by"
            f" --drop {name!r}"
        ) from error
    number = len(np.unique(found.values))
    if number == 1:
        raise UnusableTable(
            f"Column {name!r} of factors has the single value {column[0]}; leave it out by --drop"
            f" {name!r}, or say by --factors which columns are factors"
        )
    if number == len(found.values) and found.kind == "discrete":
        raise UnusableTable(
            f"Column {name!r} of factors is different in every row, as an index is; leave it out by"
            f" --drop {name!r}, say by --factors which columns are factors, or by --factor-kinds"
            f" '{name}=continuous' that it measures"
        )
    if said is None and not is_named and counts_rows(found.values):
        raise UnusableTable(
            f"Column {name!r} of factors counts the rows, as an index does; leave it out by"
            f" --drop {name!r}, or say by --factors which columns are factors"
        )
    return found


def _column(table: Table, name: str, column: Any, said: FactorKind | None) -> FactorColumn:
    types = pa.types
    if table.is_text:
        numbers = numbers_of_text(column)
        if numbers is not None:
            _check_finite(numbers, name)
        return column_of_text(column, said)
    if _is_text(column.type):
        return column_of_labels(pc.utf8_trim_whitespace(column), said)
    if types.is_boolean(column.type) or types.is_integer(column.type):
        return column_of_numbers(column.to_numpy(zero_copy_only=False), said)
    if types.is_decimal(column.type) and column.type.scale <= 0:
        return column_of_text(column.cast(pa.string()), said)
    if _is_number(column.type):
        return column_of_numbers(_numbers(column, name), said)
    raise UnusableTable(
        f"Column {name!r} of factors is of type {column.type}, expected numbers or text;"
        " say by --factors which columns are factors"
    )


def _without_gaps(table: Table, name: str) -> Any:
    column = table.columns[name]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        try:
            column = column.cast(pa.string())
        except pa.ArrowInvalid:
            raise UnusableTable(f"Column {name!r} has bytes that are no UTF-8 text") from None
    if _is_text(column.type):
        # An empty or blank cell is a missing value, in text as among numbers.
        gaps = is_missing(pc.utf8_trim_whitespace(column))
        missing = pc.or_kleene(gaps, column.is_null()) if column.null_count else gaps
    elif column.null_count:
        missing = column.is_null(nan_is_null=False)
    else:
        return column
    rows = np.flatnonzero(missing.fill_null(True).to_numpy(zero_copy_only=False))
    if len(rows):
        raise UnusableTable(
            f"Column {name!r} has {len(rows)} missing values, the first in row {rows[0]}"
            " (rows count from 0); leave such rows out"
        )
    return column


def _numbers(column: Any, name: str) -> np.ndarray:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind in "iu":
        return values
    single = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values = values.astype(np.float32 if single else np.float64)
    _check_finite(values, name)
    return values


def _check_finite(values: np.ndarray, name: str) -> None:
    if not (finite := np.isfinite(values)).all():
        row = int(finite.argmin())
        raise UnusableTable(
            f"Column {name!r} is {values[row]} in row {row} (rows count from 0), expected finite"
            " numbers"
        )


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
    return bool(pa.types.is_string(kind))
