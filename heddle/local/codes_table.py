"""Codes and factors in a table, CSV or Parquet, as the arrays that an npz of them holds."""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from heddle.errors import SpecError
from heddle.local.csv_text import SEPARATORS, Dialect, TextTable, read_csv
from heddle.local.inflated import MOST_BYTES, SUFFIXES, inflated, plain_suffix
from ml.codes.arrays_file import ALIASES, Found, Side
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
from ml.codes.rows import FactorKind

PARQUET = (".parquet", ".pq")
_STEMS = ("z", "code", "latent", "dim", "z_dim", "latent_dim", *ALIASES["codes"])
_PLACE = r"([ _.-]?|[\[({])(?P<number>[0-9]{1,9})[\])}]?"
CODE = re.compile(rf"(?P<stem>{'|'.join(_STEMS)}){_PLACE}", re.IGNORECASE)
"""What columns of codes are called where nobody says which they are: as an array of codes may be,
with a number: z0, z_0, z[0], mu0, latent_0."""
_SPREAD = re.compile(
    rf"((z|latent)[ _]?)?(log[ _]?)?(var(iance)?|std|sigma)s?{_PLACE}", re.IGNORECASE
)
"""What columns are called that have the spread of the posterior."""
MOST_SHOWN = 12
_EXACT = 2**53
_NO_NAME = re.compile(
    r"Unnamed: \d+(_level_\d+|\.\d+)?|__index_level_\d+__|level_\d+|index|idx", re.IGNORECASE
)
"""What pandas writes, or reads, where there was no name."""

_BYTES = (
    *(pa.types.is_string, pa.types.is_large_string),
    *(pa.types.is_binary, pa.types.is_large_binary),
)

Said = Callable[[Sequence[str]], Mapping[str, FactorKind]]
"""The kinds that somebody says, of factors of these names."""


class UnusableTable(SpecError):
    """No codes and factors can be read from a table: says which column, and why."""


def is_table(path: Path) -> bool:
    """Whether a file is read here, by its suffix."""
    suffix = plain_suffix(path)
    return suffix in SEPARATORS or (suffix in PARQUET and path.suffix.lower() not in SUFFIXES)


def read_table(
    path: Path, *, codes: Sequence[str] = (), factors: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """`codes`, `factors`, `factor_names` and `factor_kinds` of a table with a row a sample.

    Raises:
        UnusableTable: the file cannot be read, or it says which column cannot be used.
    """
    found = open_table(path).find(("codes", "factors"), codes=codes, factors=factors)
    names = ("codes", "factors", "factor_names", "factor_kinds")
    return {name: np.asarray(found.arrays[name]) for name in names}


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
    """Columns that each list column was taken apart to."""
    assumed: list[str] = field(default_factory=list)

    def hold(self, name: str, column: Any) -> None:
        """One more column. Raises `UnusableTable` if there is one of this name."""
        if name in self.columns:
            raise UnusableTable(f"{self.path} has two columns called {name!r}, expected one")
        self.columns[name] = column

    def find(
        self,
        sides: Sequence[Side],
        *,
        codes: Sequence[str] = (),
        factors: Sequence[str] = (),
        drop: Sequence[str] = (),
        said: Said | None = None,
    ) -> Found:
        """The codes, the factors, or both, as arrays.

        Columns are chosen by names and patterns (`z*`) and keep the order of the table. By default
        those called z0, code_0, latent_0 and so on are codes, and all others are factors. Text,
        truth values and integers are discrete factors (text a class each, in alphabetical order),
        other numbers go by the rule of `ml.codes.factor_columns`. Codes are float32 where all their
        columns are, else float64.

        Raises:
            UnusableTable: it says which column cannot be used.
        """
        if self.rows < 2:
            raise UnusableTable(f"{self.path} has {self.rows} rows, expected at least 2")
        chosen_columns = _Chosen(self, sides, codes, factors, drop)
        found = Found(assumed=[*self.assumed, *chosen_columns.assumed])
        if "codes" in sides:
            parts = [_code(self, name) for name in chosen_columns.codes]
            found.arrays["codes"] = np.stack(parts, axis=1)
            found.arrays["code_names"] = chosen_columns.codes
        if "factors" in sides:
            kinds = said(chosen_columns.factors) if said else {}
            unnamed = chosen_columns.unnamed - set(kinds)
            columns = {
                name: _factor(self, name, kinds.get(name), is_named=name not in unnamed)
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


def open_table(path: Path, dialect: Dialect | None = None) -> Table:
    """A table's columns. Raises `UnusableTable`."""
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


def matching(pattern: str, names: Collection[str]) -> list[str]:
    """The name that a pattern is, as z[0] may be, or else all that it matches."""
    if pattern in names:
        return [pattern]
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def chosen(patterns: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """The names that any of the patterns is or matches, in their own order.

    Raises:
        UnusableTable: a pattern matches none of them.
    """
    known, found = dict.fromkeys(names), set()
    for pattern in patterns:
        matched = matching(pattern, known)
        found.update(matched)
        if not matched:
            near = difflib.get_close_matches(pattern, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnusableTable(f"No {what} is called {pattern!r}{hint} There are {_shown(names)}")
    return [name for name in names if name in found]


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
    # Texts as places in a list of different ones, as they are in the file.
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
    """How many bytes the columns of a Parquet file take: runs of one value take no room there."""
    groups = (about.row_group(place) for place in range(about.num_row_groups))
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    return sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)


def _check_size(path: Path | str, size: int) -> None:
    if size > MOST_BYTES:
        raise UnusableTable(f"{path} has {size:,} bytes unpacked, expected at most {MOST_BYTES:,}")


def _is_bytes(kind: Any) -> bool:
    return any(is_kind(kind) for is_kind in _BYTES)


def _index_columns(schema: Any) -> list[str]:
    """The columns that pandas says are no columns, but its index."""
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
    """A column; one of lists that are all as long is taken apart to latent_0, latent_1, …"""
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
        told = ", ".join(map(str, sorted(lengths)[:MOST_SHOWN]))
        raise UnusableTable(
            f"List column {name!r} has lists of {told or 'no'} numbers, expected lists of one"
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


class _Chosen:
    """Which columns are codes, which are factors, and why the others are neither."""

    def __init__(
        self,
        table: Table,
        sides: Sequence[Side],
        codes: Sequence[str],
        factors: Sequence[str],
        drop: Sequence[str],
    ) -> None:
        self._table = table
        self._names = list(table.columns)
        self.assumed: list[str] = []
        self.left_aside = {
            name: why for name, why in table.aside.items() if name not in table.columns
        }
        names = [*self._names, *self.left_aside]
        patterns = self._whole(drop)
        if len(sides) < len(ALIASES):
            # What is dropped may be in the other file.
            patterns = [pattern for pattern in patterns if matching(pattern, names)]
        dropped = set(chosen(patterns, names, "column"))
        of_factors = self._named(factors) if "factors" in sides else []
        self.codes: list[str] = []
        if "codes" in sides:
            self.codes = self._named(codes) or self._by_pattern(set(of_factors) | dropped)
            if both := set(self.codes) & set(of_factors):
                raise UnusableTable(f"Column {min(both)!r} is chosen for codes and for factors")
        self.unnamed: set[str] = set()
        if "factors" in sides and not of_factors:
            of_factors = self._others(dropped, alone="codes" not in sides)
            self.unnamed = set(of_factors)
        self.factors = [name for name in of_factors if name not in dropped]
        self.codes = [name for name in self.codes if name not in dropped]
        self._check(sides)
        used = {*self.codes, *self.factors}
        for name in self._names:
            if name not in used:
                self.left_aside.setdefault(name, self._why(name, dropped))

    def _whole(self, patterns: Sequence[str]) -> list[str]:
        """Patterns, with a list column's parts for its name."""
        lists = self._table.lists
        return [part for pattern in patterns for part in lists.get(pattern, [pattern])]

    def _named(self, patterns: Sequence[str]) -> list[str]:
        return chosen(self._whole(patterns), self._names, "column")

    def _by_pattern(self, taken: set[str]) -> list[str]:
        """Columns that are called as codes are, of one kind: each number once."""
        called = {name: match for name in self._names if (match := CODE.fullmatch(name))}
        found = [name for name in called if name not in taken]
        if not found and (of_list := self._list_of("codes", taken)):
            return of_list
        ways: dict[str, list[str]] = {}
        for name in found:
            ways.setdefault(name[: called[name].start("number")], []).append(name)
        numbers = [int(called[name]["number"]) for name in found]
        stems = {called[name]["stem"].lower() for name in found}
        if len(stems) > 1 or len(set(numbers)) < len(numbers):
            told = " and ".join(f"{names[0]!r} (of {len(names)})" for names in ways.values())
            raise UnusableTable(
                f"{self._table.path} has codes of more than one kind, {told}; say by --codes which"
                f" are meant, as in --codes '{next(iter(ways))}*'"
            )
        return found

    def _list_of(self, side: Side, taken: set[str]) -> list[str]:
        """The parts of the one list column that has the codes, or the factors."""
        lists = {name: parts for name, parts in self._table.lists.items() if not taken & set(parts)}
        others = ALIASES["factors" if side == "codes" else "codes"]
        called = [name for name in lists if name.lower() in ALIASES[side]]
        called = called or [name for name in lists if name.lower() not in others]
        if len(called) > 1:
            raise UnusableTable(
                f"{self._table.path} has several list columns, {_shown(called)}; say by --codes"
                " which has the codes"
            )
        if called:
            self.assumed.append(f"the lists in {called[0]!r} are the {side}")
        return lists[called[0]] if called else []

    def _others(self, dropped: set[str], *, alone: bool) -> list[str]:
        """The columns that are factors where nobody names them."""
        table = self._table
        taken = {*self.codes, *dropped, *table.aside}
        rest = [name for name in self._names if name not in taken]
        of_lists = {
            part: name.lower() in ALIASES["factors"]
            for name, parts in table.lists.items()
            for part in parts
        }
        rest = [name for name in rest if alone or of_lists.get(name, True)]
        # Columns called as codes are not factors because others were chosen for codes.
        rest = [name for name in rest if not CODE.fullmatch(name)] or (rest if alone else [])
        for name in rest:
            if name in table.nameless or _NO_NAME.fullmatch(name):
                raise UnusableTable(
                    f"Column {name!r} of {table.path} has no name of its own, as the index of a"
                    f" frame; leave it out by --drop {name!r}, or name the factors by --factors"
                    " (pandas writes no index with index=False)"
                )
            if _SPREAD.fullmatch(name):
                raise UnusableTable(
                    f"Column {name!r} of {table.path} is called as the spread of a code, not as a"
                    " factor; leave such columns out by --drop, or name the factors by --factors"
                )
        return rest

    def _why(self, name: str, dropped: set[str]) -> str:
        if name in dropped:
            return "dropped"
        if name in self._table.aside:
            return self._table.aside[name]
        if CODE.fullmatch(name):
            return "called as a code is, but not chosen"
        return "not chosen"

    def _check(self, sides: Sequence[Side]) -> None:
        path = self._table.path
        if "codes" in sides and not self.codes:
            raise UnusableTable(
                f"{path} has no columns called z0, code_0 or latent_0 and so on; say by --codes"
                f" which are codes. There are {_shown(self._names)}"
            )
        if "factors" in sides and not self.factors:
            raise UnusableTable(
                f"{path} has no columns besides the codes {_shown(self.codes)}; a file of factors"
                " alone is given by --factors-file"
            )


def _check_kinds(columns: Mapping[str, FactorColumn], unnamed: set[str]) -> None:
    """Refuse what may be codes or losses: numbers of many values that stand beside classes."""
    like_codes = [name for name in columns if name in unnamed and not columns[name].few]
    classes = [name for name in columns if columns[name].few]
    if like_codes and classes:
        raise UnusableTable(
            f"Columns {_shown(like_codes)} are not called as codes are (z0, code_0, latent_0 and so"
            f" on) and not named as factors, but have numbers of many values, while"
            f" {_shown(classes)} may be classes; name the factors, as by --factors"
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
        # Without blanks, and an empty cell of text is missing, as it is among numbers.
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


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(map(repr, names[:MOST_SHOWN])) + more
