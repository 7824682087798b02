"""Statements with lists: rows to write, of which there may be none, and ids to find rows by.

SQLAlchemy treats an empty list like no list: an INSERT then writes one row of nulls, and an UPDATE
has no condition. So every statement with a list of rows is in this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Dialect, Insert, Table, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.database.tables import Base

_AT_ONCE = 1_000
# So few rows go into one statement, whose text is kept for each number of them.
_FEW = 8
# SQLite allows 32,766 bound values in a statement, PostgreSQL's protocol 65,535.
_PART = 5_000


def insert_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows in their order. Each row names its columns, and there may be no row.

    The rows go in parts, as all values of a statement are prepared before it is sent. Meanwhile
    the connection is silent and other writers wait: for ten thousand specs that takes more than a
    second.
    """
    connection = session.connection()
    # One statement has one set of columns: it would leave out what only a later row has.
    for columns, alike in groupby(rows, key=_columns):
        found = list(alike)
        if len(found) <= _FEW:
            statement, prepare = _few(connection.dialect, table, columns, len(found))
            values = tuple(
                value if process is None else process(value)
                for row in found
                for process, value in zip(prepare, row.values(), strict=True)
            )
            connection.exec_driver_sql(statement, values)
            continue
        for start in range(0, len(found), _AT_ONCE):
            connection.execute(_insert(table), found[start : start + _AT_ONCE])


def _columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row)


@cache
def _insert(table: type[Base]) -> Insert:
    # Past the session, which would work out anew for each call how rows become objects.
    return insert(cast(Table, table.__table__))


@lru_cache(1_000)
def _few(
    dialect: Dialect, table: type[Base], columns: tuple[str, ...], rows: int
) -> tuple[str, list[Callable[[Any], Any] | None]]:
    """The text of an INSERT of so many rows, and what makes the driver's values of the columns'."""
    of = cast(Table, table.__table__)
    quoted = dialect.identifier_preparer.quote
    names = ", ".join(map(quoted, columns))
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    places = ", ".join([f"({', '.join([mark] * len(columns))})"] * rows)
    return (
        f"INSERT INTO {quoted(of.name)} ({names}) VALUES {places}",  # noqa: S608 (no input)
        [of.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns],
    )


def update_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Update rows, of which there may be none. Each names its key and the columns to change."""
    found = list(rows)
    if found:
        session.execute(update(table), found)


def insert_into(session: Session, table: type[Base]) -> postgresql.Insert:
    """An insert with `on_conflict_do_update`, for which each database has a class of its own."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    # Both classes are used in the same way.
    return sqlite.insert(table)  # type: ignore[return-value]


def parts(ids: Iterable[str]) -> Iterator[list[str]]:
    """The distinct ids in rising order, in lists that are short enough for an `IN`.

    Callers rely on the order: when everybody locks rows part by part in the same order, nobody
    waits in a circle.
    """
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), _PART):
        yield ordered[start : start + _PART]
