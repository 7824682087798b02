"""The look of tables on a terminal, and of the values in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def titled_table(title: str, columns: Iterable[str]) -> Table:
    """A table without rows. It has no header if no column has a name."""
    names = list(columns)
    table = Table(title=Text(title), title_justify="left", show_header=any(names))
    for name in names:
        table.add_column(Text(name), overflow="fold")
    return table


def narrow_table(first: str, *others: str) -> Table:
    """A table without rows. It fits 80 columns as long as the cells of `others` are short."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, no_wrap=True)
    return table


def add_row(table: Table, cells: Iterable[str]) -> None:
    # `Text` keeps brackets in a message or a file's name from being read as markup.
    table.add_row(*(Text(cell) for cell in cells))


def shown(value: Any) -> str:
    """A value in a cell: four digits of a float, and nothing for None."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Each value with its name, as `beta=4`; a value that is None reads `null`, as in a spec."""
    return [f"{name}={'null' if value is None else shown(value)}" for name, value in values.items()]


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
