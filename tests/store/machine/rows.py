"""Every row of the database at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, delete, select

from store.database.connection import Database
from store.database.tables import Base
from store.states import RunState, linked_state

#: {table: {primary key: row}}; a key of one column stands for itself.
Rows = dict[str, dict[Any, Row[Any]]]


_QUERIES = [
    (table.name, select(table), [table.c.keys().index(key.name) for key in table.primary_key])
    for table in Base.metadata.sorted_tables
]


def read_rows(database: Database) -> Rows:
    rows: Rows = {}
    with database.read() as session:
        connection = session.connection()
        for name, query, key in _QUERIES:
            found = connection.execute(query).all()
            if len(key) == 1:
                rows[name] = {row[key[0]]: row for row in found}
            else:
                rows[name] = {tuple(row[column] for column in key): row for row in found}
    return rows


def clear(database: Database) -> None:
    """Make the database as it was when it was migrated."""
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))


def counted(rows: Rows) -> dict[tuple[str, int], RunState]:
    """What each place's run counts as in its experiment."""
    return {
        place: linked_state(
            rows["runs"][row.run_id].state,
            rows["evaluations"][row.evaluation_id].state,
            wanted=row.wanted,
        )
        for place, row in rows["experiment_runs"].items()
    }


def evaluations_of(rows: Rows, run_id: str) -> Iterator[Row[Any]]:
    return (row for row in rows["evaluations"].values() if row.run_id == run_id)
