"""Writing several rows at once, where there may be none.

SQLAlchemy takes an empty list for no list: an INSERT then writes one row of nulls, and an UPDATE
has no condition. So every statement that comes with a list of rows stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from store.database.tables import Base

_AT_ONCE = 1_000


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
