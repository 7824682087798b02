"""CSV and TSV as columns of text; their encoding, separator, header and comments are detected."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from heddle.errors import SpecError
from heddle.local.choice import Dialect

SEPARATORS = {".csv": ",", ".tsv": "\t"}
_CANDIDATES = "\t;|, "
"""Separators in the order of trial. In a file with another separator, a comma may be decimal."""
_CALLED = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks"}
_LINE_END = re.compile(rb"\r\n|\r|\n")
_SAMPLED = 20
"""Lines from which the separator is detected."""
NAMELESS = "Unnamed: {}"
"""The name that pandas gives to a column without one."""
_DECIMAL_COMMA = r"^[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_MAYBE_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_BYTE_ORDER = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass
class TextTable:
    """Columns of text, without blanks around the cells, and what was assumed to read them."""

    names: list[str]
    columns: list[Any]
    nameless: set[str] = field(default_factory=set)
    """Columns that the file has no name for."""
    empty: list[str] = field(default_factory=list)
    """Nameless columns without values, which a separator at the end of each line makes."""
    assumed: list[str] = field(default_factory=list)


def read_csv(data: bytes, suffix: str, dialect: Dialect) -> TextTable:
    """Read columns of text; decimal commas become points.

    Raises:
        SpecError: the file cannot be read for certain. The error names the option that decides.
    """
    assumed: list[str] = []
    data = _utf8(data, assumed)
    start, comments, lines = _beginning(data)
    if not lines:
        raise SpecError("it is empty: there are no columns and no rows")
    separator = dialect.separator or _separator(lines, suffix, assumed)
    names, at = _header(lines, comments, separator, dialect.header, assumed)
    columns = _columns(data, start + at, len(names), separator, assumed)
    table = TextTable(list(names), columns, assumed=assumed)
    _name(table)
    _with_points(table, dialect.decimal)
    return table


def _utf8(data: bytes, assumed: list[str]) -> bytes:
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    for mark, encoding in _BYTE_ORDER.items():
        if data.startswith(mark):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError as error:
                raise SpecError(
                    f"it begins as {encoding.upper()} does, but is none ({error.reason} at byte"
                    f" {error.start}); save it as UTF-8"
                ) from None
            assumed.append(f"the file is in {encoding.upper()}")
            return text.encode()
    if b"\0" in data:
        raise SpecError(
            f"it has a NUL at byte {data.index(0)}, as files of other kinds and UTF-16 without its"
            " byte order mark have; save it as UTF-8"
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        assumed.append(
            f"the file is no UTF-8 (byte {error.start:,} is {data[error.start]:#04x}), read as"
            " Latin-1"
        )
        return _latin1(data).encode()
    return data


def _latin1(data: bytes) -> str:
    # cp1252, which Windows calls Latin-1, has letters where Latin-1 has control characters.
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _beginning(data: bytes) -> tuple[int, list[str], list[str]]:
    """Where the first line that is no comment begins, comments before it, and lines from it on."""
    comments: list[str] = []
    lines: list[str] = []
    start = at = 0
    while at < len(data) and len(lines) < _SAMPLED:
        end = _line_end(data, at)
        line = data[at:end].decode().rstrip("\r\n")
        if not lines and (line.startswith("#") or not line.strip()):
            start = end
            if line.startswith("#"):
                comments.append(line)
        elif line.strip():
            lines.append(line)
        at = end
    return start, comments, lines


def _line_end(data: bytes, at: int) -> int:
    found = _LINE_END.search(data, at)
    return found.end() if found else len(data)


def _cells(line: str, separator: str) -> list[str]:
    [cells] = csv.reader([line], delimiter=separator, skipinitialspace=separator != " ")
    return [cell.strip() for cell in cells]


def _separator(lines: Sequence[str], suffix: str, assumed: list[str]) -> str:
    """The first candidate that cuts all lines into equally many cells, else the usual one."""
    usual = SEPARATORS[suffix]
    for candidate in _CANDIDATES:
        try:
            widths = {len(_cells(line, candidate)) for line in lines}
        except (csv.Error, ValueError):
            continue
        if len(widths) == 1 and widths != {1}:
            if candidate != usual:
                assumed.append(f"cells are separated by {_CALLED[candidate]}")
            return candidate
    return usual


def _header(
    lines: Sequence[str],
    comments: list[str],
    separator: str,
    said: bool | None,
    assumed: list[str],
) -> tuple[list[str], int]:
    """The names of the columns, and how many bytes they take at the beginning."""
    try:
        [first] = csv.reader([lines[0]], delimiter=separator, strict=True, skipinitialspace=True)
        first = [cell.strip() for cell in first]
    except (csv.Error, ValueError):
        raise SpecError(
            "its first line has a quote without its partner, or within a cell; write the names on"
            f" one line, or say by --separator what stands between cells if not {separator!r}"
        ) from None
    if said is False:
        assumed.append("there is no header: columns are called column_0, column_1, …")
        return [f"column_{place}" for place in range(len(first))], 0
    numbers = [_number(cell) for cell in first]
    looks_like_data = all(number is not None for number in numbers) or any(
        number is not None and not cell.isdecimal()
        for number, cell in zip(numbers, first, strict=True)
    )
    if said is None and looks_like_data:
        # numpy.savetxt writes the header as a comment.
        named = comments and _cells(comments[-1].lstrip("# \t"), separator)
        if named and len(named) == len(first) and any(_number(name) is None for name in named):
            return named, 0
        raise SpecError(
            f"its first line has numbers ({', '.join(first[:3])}, …) where names of columns were"
            " expected; say --no-header if it has none (columns are then called column_0,"
            " column_1, …), or --header if these are the names"
        )
    if comments:
        assumed.append(f"{len(comments)} lines before the header begin with # and are comments")
    return first, len(lines[0].encode())


def _number(cell: str) -> float | None:
    text = cell.replace(",", ".", 1)
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _columns(data: bytes, at: int, width: int, separator: str, assumed: list[str]) -> list[Any]:
    """The cells after the header, column by column."""
    names = [str(place) for place in range(width)]
    body = memoryview(data)[at:]
    if not re.compile(rb"\S").search(data, at):
        return [pa.array([], pa.string()) for _ in names]
    if separator != " " and re.search(re.escape(separator).encode() + b' +"', data):
        body = memoryview(_without_blanks_before_quotes(data[at:].decode(), separator))
    comments = 0

    def skipped(row: Any) -> str:
        nonlocal comments
        text = row.text.strip()
        comments += text.startswith("#")
        return "error" if text and not text.startswith("#") else "skip"

    try:
        table = pa.csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            read_options=pa.csv.ReadOptions(column_names=names),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator,
                newlines_in_values=b'"' in data,
                invalid_row_handler=skipped,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise SpecError(f"rows and header do not fit: {error}") from error
    columns = [pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns]
    # A comment may have as many cells as a row. But # also begins a colour, such as #ff0000.
    marked = pc.starts_with(columns[0], "#")
    others = pc.invert(marked)
    rest = columns[0].filter(others)
    if 0 < len(rest) < len(marked) and _are_numbers(rest):
        comments += len(marked) - len(rest)
        columns = [column.filter(others) for column in columns]
    if comments:
        assumed.append(f"{comments} lines among the rows begin with # and are comments")
    return columns


def _are_numbers(texts: Any) -> bool:
    return all(_number(text) is not None for text in pc.unique(texts).to_pylist())


def _without_blanks_before_quotes(text: str, separator: str) -> bytes:
    """Write the rows anew. Arrow recognises a quote only at the beginning of a cell."""
    rows = csv.reader(
        io.StringIO(text, ""), delimiter=separator, skipinitialspace=True, strict=True
    )
    buffer = io.StringIO(newline="")
    try:
        csv.writer(buffer, delimiter=separator, lineterminator="\n").writerows(rows)
    except csv.Error as error:
        raise SpecError(f"line {rows.line_num} below the header cannot be read: {error}") from error
    return buffer.getvalue().encode()


def _name(table: TextTable) -> None:
    """Take a leading `# ` off the names, and name columns without one as pandas does."""
    names = table.names
    names[:] = [name.lstrip("# \t") for name in names]
    known = set(names)
    for place, name in enumerate(names):
        if not name:
            called = names[place] = NAMELESS.format(place)
            again = 0
            while names[place] in known:
                again += 1
                names[place] = f"{called}.{again}"
            table.nameless.add(names[place])
            if bool(pc.all(pc.equal(table.columns[place], "")).as_py() in (True, None)):
                table.empty.append(names[place])
    for name, count in Counter(names).items():
        if count > 1:
            raise SpecError(f"it has {count} columns called {name!r}, expected one")


def _with_points(table: TextTable, said: str | None) -> None:
    """Turn decimal commas into points, where numbers have commas."""
    if said == ".":
        return
    commas: list[int] = []
    proven = said == ","
    for place, column in enumerate(table.columns):
        found = pc.match_substring_regex(column, _DECIMAL_COMMA)
        if not bool(pc.any(found).as_py()):
            continue
        commas.append(place)
        if not proven:
            thousands = pc.match_substring_regex(column, _MAYBE_THOUSANDS)
            proven = bool(pc.any(pc.and_not(found, thousands)).as_py())
    if not commas:
        return
    if not proven:
        column = table.columns[commas[0]]
        cell = column.filter(pc.match_substring_regex(column, _DECIMAL_COMMA))[0]
        raise SpecError(
            f"column {table.names[commas[0]]!r} has {cell}, which may be a fraction or thousands;"
            " say --decimal , for fractions, or write thousands without a comma"
        )
    for place, column in enumerate(table.columns):
        if place in commas:
            points = pc.replace_substring_regex(column, r"^([+-]?[0-9]*),([0-9]*)", r"\1.\2")
            # A point beside decimal commas marks thousands, or the file mixes two notations.
            pointed = pc.match_substring_regex(column, r"^[+-]?[0-9]*\.[0-9]")
            if bool(pc.any(pointed).as_py()):
                cell = column.filter(pointed)[0]
                raise SpecError(
                    f"column {table.names[place]!r} has {cell} among numbers with decimal commas"
                )
            table.columns[place] = points
    table.assumed.append("numbers have decimal commas")
