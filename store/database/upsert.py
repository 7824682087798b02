"""INSERT … ON CONFLICT, which each database has in words of its own."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.database.tables import Base


def insert_into(session: Session, table: type[Base]) -> postgresql.Insert:
    """An insert that takes `on_conflict_do_update`."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    # The two are called alike.
    return sqlite.insert(table)  # type: ignore[return-value]
