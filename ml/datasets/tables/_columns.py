"""Tables of factors as columns: CSV, Parquet, and the arrays of .npz and HDF5 files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.components.spec_errors import shown
from ml.datasets.tables._arrays import HDF5_SUFFIXES, Array, arrays
from ml.datasets.tables._pictures import SUFFIXES
from ml.datasets.tables.options import LONGEST_NAME, Bounds, TableOptions, unusable

USUAL_FACTORS = ("factors", "labels", "latents_classes", "latents_values", "y", "targets")
NAMES_OF_FACTORS = "factor_names"
_NO_VALUE = ("", "na", "n/a", "nan", "null", "none", "?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
LARGEST_WHOLE = 2.0**53
_PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0")


@dataclass(frozen=True)
class Columns:
    """The columns of a table by name. Each is an array of floats, integers, bools or text."""

    columns: dict[str, NDArray[Any]]
    rows: int
    taken: list[str] = field(default_factory=list)


def read_columns(path: Path, options: TableOptions, bounds: Bounds) -> Columns:
    """The columns of a file."""
    size = path.stat().st_size
    if size > bounds.table_bytes:
        raise unusable("factors", f"{size} bytes", f"at most {bounds.table_bytes} bytes")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        return of_csv(path.read_bytes(), bounds)
    if suffix in (".parquet", ".pq"):
        return of_parquet(path.read_bytes(), bounds)
    if suffix in (".npz", *HDF5_SUFFIXES):
        with arrays(path, bounds) as found:
            columns = of_arrays(found, None, options, bounds)
        if columns is None:
            raise unusable("factors", ", ".join(found) or "nothing", "an array of factors")
        return columns
    expected = "a table in .csv, .tsv, .parquet, .npz or .h5"
    raise unusable("factors", shown(path.name), expected)


def of_bytes(name: str, data: bytes, bounds: Bounds) -> Columns:
    """The columns of a CSV or Parquet file in memory."""
    return of_parquet(data, bounds) if name.lower().endswith(".parquet") else of_csv(data, bounds)


def of_csv(data: bytes, bounds: Bounds) -> Columns:
    """The columns of delimited text in UTF-8 whose first row names the columns.

    The delimiter is the comma, semicolon or tab that the first row has most of.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise unusable("factors", got, "text in UTF-8") from None
    if "\0" in text:
        raise unusable("factors", "a zero byte", "text in UTF-8")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    try:
        # numpy.savetxt writes the names as a comment.
        names = [name.removeprefix("#").strip() for name in next(lines, [])]
        _check_header(names)
        _check_names(names, bounds)
        cells: list[list[str]] = [[] for _ in names]
        for number, line in enumerate(lines, 2):
            if not line:
                continue
            if len(line) != len(names):
                got = f"{len(line)} cells in row {number}"
                raise unusable("factors", got, f"{len(names)}, as the first row has")
            for column, cell in zip(cells, line, strict=True):
                column.append(cell.strip())
    except csv.Error as damage:
        raise unusable("factors", shown(str(damage)), "a table of cells") from None
    found = {name: of_cells(name, column) for name, column in zip(names, cells, strict=True)}
    return Columns(found, len(cells[0]))


def _check_header(names: Sequence[str]) -> None:
    """Refuse a first row that is one of the data: numbers, a fraction, or an image's file."""
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    data = [name for name in numbers if not name.isdecimal()]
    data += [name for name in names if name.lower().endswith(SUFFIXES)]
    if (names and len(numbers) == len(names)) or data:
        got = ", ".join(map(str, map(shown, names[:5])))
        raise unusable("factors", got, "a first row that names the columns")


def _check_names(names: Sequence[str], bounds: Bounds) -> None:
    if not names or not any(names):
        raise unusable("factors", "nothing", "a first row that names the columns")
    if len(names) > bounds.columns:
        raise unusable("factors", f"{len(names)} columns", f"at most {bounds.columns}")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise unusable("factors", shown(name), f"names of at most {LONGEST_NAME} characters")
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise unusable("factors", f"two columns {shown(twice)}", "different names")


def of_cells(name: str, cells: Sequence[str]) -> NDArray[Any]:
    """Text cells as numbers, if all that have a value are numbers. A missing one is NaN or ''."""
    known = [None if cell.lower() in _NO_VALUE else cell for cell in cells]
    given = [cell for cell in known if cell is not None]
    if given and all(NUMBER.fullmatch(cell) for cell in given):
        return _floats(name, [np.nan if cell is None else float(cell) for cell in known])
    comma = next((cell for cell in given if _DECIMAL_COMMA.fullmatch(cell)), None)
    if comma is not None and all(
        NUMBER.fullmatch(cell) or _DECIMAL_COMMA.fullmatch(cell) for cell in given
    ):
        expected = "decimal points, as it is not certain what a comma means"
        raise unusable(f"factors.{shown(name)}", comma, expected)
    return np.array([cell or "" for cell in known], dtype=np.str_)


def of_parquet(data: bytes, bounds: Bounds) -> Columns:
    """The columns of a Parquet file. The index that pandas adds is left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        # An index of text may be the names of files.
        names = [
            one.name
            for one in file.schema_arrow
            if not (_PANDAS_INDEX.fullmatch(one.name) and _is_number(one.type))
        ]
        _check_names(names, bounds)
        rows = file.metadata.num_rows
        if rows > bounds.images:
            raise unusable("factors", f"{rows} rows", f"at most {bounds.images}")
        table = file.read(columns=names)
    except pa.ArrowException as damage:
        raise unusable("factors", shown(str(damage)), "a whole Parquet file") from None
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            found[name] = of_cells(name, [(cell or "").strip() for cell in column.to_pylist()])
        elif pa.types.is_boolean(kind) or _is_number(kind):
            numbers = [np.nan if cell is None else cell for cell in column.to_pylist()]
            found[name] = _floats(name, numbers)
        else:
            raise unusable(f"factors.{shown(name)}", str(kind), "numbers, bools or text")
    return Columns(found, rows)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _floats(name: str, numbers: Any) -> NDArray[np.float64]:
    found = np.asarray(numbers, dtype=np.float64)
    if (np.abs(found[np.isfinite(found)]) >= LARGEST_WHOLE).any():
        expected = "numbers below 2^53, which can be told apart, or text"
        raise unusable(f"factors.{shown(name)}", "larger numbers", expected)
    return found


def of_arrays(
    found: Mapping[str, Array], rows: int | None, options: TableOptions, bounds: Bounds
) -> Columns | None:
    """The factors among arrays: one array with a column for each, or an array for each factor.

    Args:
        found: the arrays by name.
        rows: how many rows they must have, or None for any number.
        options: may name the array.
        bounds: the most columns and bytes.

    Returns:
        None if no array looks like factors.
    """
    key = options.factors_key
    if key is not None and key not in found:
        raise unusable("factors_key", key, "an array of the file: " + (", ".join(found) or "none"))
    usual = [name for name in USUAL_FACTORS if name in found]
    if key is None and len(usual) > 1:
        raise unusable("factors_key", None, f"the array of factors, one of {', '.join(usual)}")
    chosen = key or next(iter(usual), None)
    if chosen is not None:
        values = _values(found[chosen], bounds)
        if values.ndim not in (1, 2) or not values.size:
            raise unusable(f"factors.{chosen}", f"shape {values.shape}", "(images, factors)")
        table = values.reshape(len(values), -1)
        names = _names(found, table.shape[1], bounds, chosen)
        columns = {name: _plain(name, table[:, k]) for k, name in enumerate(names)}
        return _of_rows(Columns(columns, len(table), [f"factors: the array {chosen}"]), rows)
    single = {name: one for name, one in found.items() if len(one.shape) == 1}
    single.pop(NAMES_OF_FACTORS, None)
    if rows is not None:
        single = {name: one for name, one in single.items() if one.shape[0] == rows}
    if not single:
        return None
    _check_names(list(single), bounds)
    columns = {name: _plain(name, _values(one, bounds)) for name, one in single.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise unusable("factors", f"arrays of {sorted(lengths)} rows", "arrays of one length")
    taken = [f"factors: an array for each, {', '.join(columns)}"]
    return Columns(columns, lengths.pop(), taken)


def _of_rows(columns: Columns, rows: int | None) -> Columns:
    if rows is not None and columns.rows != rows:
        raise unusable("factors", f"{columns.rows} rows", f"{rows} rows, one for each image")
    return columns


def _values(array: Array, bounds: Bounds) -> NDArray[Any]:
    if array.dtype.hasobject:
        raise unusable(f"factors.{shown(array.name)}", "pickled objects", "numbers or text")
    return array.whole(bounds.table_bytes)


def _names(found: Mapping[str, Array], count: int, bounds: Bounds, factors: str) -> list[str]:
    if count > bounds.columns:
        raise unusable("factors", f"{count} columns", f"at most {bounds.columns}")
    if NAMES_OF_FACTORS not in found:
        return [factors] if count == 1 else [f"factor_{k}" for k in range(count)]
    values = _values(found[NAMES_OF_FACTORS], bounds)
    names = [one.decode() if isinstance(one, bytes) else str(one) for one in values.ravel()]
    _check_names(names, bounds)
    if len(names) != count:
        raise unusable("factors.factor_names", f"{len(names)} names", f"{count} names")
    return names


def _plain(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """A column of an array as floats or text."""
    if column.dtype.kind in "biuf":
        return _floats(name, column)
    if column.dtype.kind == "S":
        try:
            column = np.char.decode(column, "utf-8")
        except UnicodeDecodeError:
            raise unusable(f"factors.{shown(name)}", "other bytes", "text in UTF-8") from None
    if column.dtype.kind in "UO":
        return of_cells(name, [str(cell).strip() for cell in column])
    raise unusable(f"factors.{shown(name)}", str(column.dtype), "numbers or text")
