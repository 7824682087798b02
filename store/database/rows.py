"""Lists in statements: rows to write, of which there may be none, and ids to find rows by.

SQLAlchemy takes an empty list for no list: an INSERT then writes one row of nulls, and an UPDATE
has no condition. So every statement that comes with a list of rows stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.database.tables import Base

_AT_ONCE = 1_000
# SQLite takes 32,766 bound values in a statement, PostgreSQL's protocol 65,535.
_PART = 5_000


def insert_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, each of which names its columns, in their order; there may be none.

    All values of a statement are made ready before the first is sent, in which time the database
    hears nothing and other writers wait: of ten thousand specs that is a second and more.
    """
    found = list(rows)
    for start in range(0, len(found), _AT_ONCE):
        session.execute(insert(table), found[start : start + _AT_ONCE])


def update_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Change rows, found by their keys, in the other columns that each names; there may be none."""
    found = list(rows)
    if found:
        session.execute(update(table), found)


def insert_into(session: Session, table: type[Base]) -> postgresql.Insert:
    """An insert that takes `on_conflict_do_update`, which each database has in words of its own."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    # The two are called alike.
    return sqlite.insert(table)  # type: ignore[return-value]


def parts(ids: Iterable[str]) -> Iterator[list[str]]:
    """The distinct ids in rising order, in lists short enough for an `IN`.

    The order is part of the promise: rows locked part by part are locked in one order by
    everyone, so that nobody waits in a circle.
    """
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), _PART):
        yield ordered[start : start + _PART]
