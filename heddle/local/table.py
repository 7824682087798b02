"""Opens tables, CSV or Parquet, as columns, before it is known which are codes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from heddle.errors import SpecError
from heddle.local.choice import Dialect
from heddle.local.csv_text import SEPARATORS, TextTable, read_csv
from heddle.local.inflated import MOST_BYTES, SUFFIXES, inflated, plain_suffix

PARQUET = (".parquet", ".pq")
MOST_SHOWN = 12
_BYTES = (
    *(pa.types.is_string, pa.types.is_large_string),
    *(pa.types.is_binary, pa.types.is_large_binary),
)


class UnusableTable(SpecError):
    """Codes and factors cannot be read from a table. The message has the column and the reason."""


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its suffix."""
    suffix = plain_suffix(path)
    return suffix in SEPARATORS or (suffix in PARQUET and path.suffix.lower() not in SUFFIXES)


@dataclass
class Table:
    """The columns of a table, before it is known which are codes."""

    path: Path
    columns: dict[str, Any]
    """Arrow arrays by name; those of a CSV are text."""
    rows: int
    is_text: bool
    aside: dict[str, str] = field(default_factory=dict)
    """Columns that are neither codes nor factors unless they are named, and why."""
    nameless: set[str] = field(default_factory=set)
    lists: dict[str, list[str]] = field(default_factory=dict)
    """The columns that hold the parts of each list column."""
    assumed: list[str] = field(default_factory=list)

    def hold(self, name: str, column: Any) -> None:
        """Add a column. Raises `UnusableTable` if there is one of this name."""
        if name in self.columns:
            raise UnusableTable(f"{self.path} has two columns called {name!r}, expected one")
        self.columns[name] = column


def open_table(path: Path, dialect: Dialect | None = None) -> Table:
    """Read the columns of a table. Raises `UnusableTable`."""
    try:
        if plain_suffix(path) in PARQUET:
            return _parquet(path)
        data, compression = inflated(path)
        text = read_csv(data, plain_suffix(path), dialect or Dialect())
    except UnusableTable:
        raise
    except (OSError, SpecError, pa.ArrowException) as error:
        raise UnusableTable(f"Cannot read the table {path}", detail=str(error)) from error
    return _of_text(path, text, compression)


def _of_text(path: Path, text: TextTable, compression: str | None) -> Table:
    why = "a nameless column without values, as a separator at the end of each line makes"
    columns = dict(zip(text.names, text.columns, strict=True))
    for name in text.empty:
        del columns[name]
    return Table(
        path,
        columns,
        rows=len(text.columns[0]),
        is_text=True,
        nameless=text.nameless - set(text.empty),
        aside=dict.fromkeys(text.empty, why),
        assumed=[f"the file is compressed by {compression}"] * bool(compression) + text.assumed,
    )


def _parquet(path: Path) -> Table:
    with pa.parquet.ParquetFile(path) as file:
        schema, about = file.schema_arrow, file.metadata
    texts = [item.name for item in schema if _is_bytes(item.type)]
    # Texts are read as indices into a list of distinct texts, as they are in the file.
    with pa.parquet.ParquetFile(path, read_dictionary=texts) as file:
        _check_size(path, _unpacked_bytes(about))
        columns = file.read().columns
    table = Table(path, {}, rows=about.num_rows, is_text=False)
    for name in _index_columns(schema):
        table.aside[name] = "the index of a pandas frame"
    for name, column in zip(schema.names, columns, strict=True):
        _add_column(table, name.strip(), _of_storage(column))
    return table


def _unpacked_bytes(about: Any) -> int:
    """How many bytes the columns take when read; in the file, runs of one value take no room."""
    groups = (about.row_group(place) for place in range(about.num_row_groups))
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    return sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)


def _check_size(path: Path | str, size: int) -> None:
    if size > MOST_BYTES:
        raise UnusableTable(f"{path} has {size:,} bytes unpacked, expected at most {MOST_BYTES:,}")


def _is_bytes(kind: Any) -> bool:
    return any(is_kind(kind) for is_kind in _BYTES)


def _index_columns(schema: Any) -> list[str]:
    """The columns that are the index of a frame, as pandas says in the file."""
    try:
        about = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        named = [name for name in about.get("index_columns", []) if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError):
        return []
    return [name for name in named if name in schema.names]


def _of_storage(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        _check_size("A column of texts", len(column) * _longest(column.dictionary))
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    return column


def _longest(values: Any) -> int:
    """Bytes of the longest of some texts."""
    if not _is_bytes(values.type):
        return 8
    return int(pc.max(pc.binary_length(values)).as_py() or 0)


def _is_list(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _add_column(table: Table, name: str, column: Any) -> None:
    """Add a column. One of lists of equal length is split into latent_0, latent_1, …"""
    if not _is_list(column.type):
        if not name:
            name = f"Unnamed: {len(table.columns)}"
            table.nameless.add(name)
        table.hold(name, column)
        return
    if column.null_count:
        row = column.is_null().index(True).as_py()
        raise UnusableTable(f"List column {name!r} has no list in row {row} (rows count from 0)")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        shown = ", ".join(map(str, sorted(lengths)[:MOST_SHOWN]))
        raise UnusableTable(
            f"List column {name!r} has lists of {shown or 'no'} numbers, expected lists of one"
            " length in all rows"
        )
    values, width = _of_storage(column.flatten()), lengths[0]
    if values.type is not None and _is_list(values.type):
        raise UnusableTable(f"List column {name!r} has lists of lists, expected lists of numbers")
    parts = [f"{name}_{place}" for place in range(width)]
    for place, part in enumerate(parts):
        table.hold(part, values.take(pa.array(np.arange(place, len(values), width))))
    table.lists[name] = parts
    table.assumed.append(f"the lists of {name!r} are the columns {parts[0]!r} to {parts[-1]!r}")
