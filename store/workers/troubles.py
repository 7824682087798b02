"""Why workers take no jobs, told by themselves again and again for as long as it lasts."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from store.database.connection import Database, db_now
from store.database.tables import Trouble
from store.states import JobKind

STALE_SECONDS = 60.0
"""A worker that has not said so for longer is gone."""


def tell_trouble(database: Database, worker: str, kind: JobKind, message: str) -> None:
    """Say that a worker takes no jobs of a kind at the moment, and why."""
    gone = Trouble.seen_at < db_now() - STALE_SECONDS
    with database.write() as session:
        session.execute(delete(Trouble).where((Trouble.worker == worker) | gone))
        session.execute(
            insert(Trouble).values(worker=worker, kind=kind, message=message, seen_at=db_now())
        )


def end_trouble(database: Database, worker: str) -> None:
    """Say that a worker takes jobs again."""
    with database.write() as session:
        session.execute(delete(Trouble).where(Trouble.worker == worker))


def troubles(database: Database) -> dict[JobKind, str]:
    """Why workers of each kind take no jobs, as was last said; kinds without trouble are absent."""
    with database.read() as session:
        rows = session.execute(
            select(Trouble.kind, Trouble.message)
            .where(Trouble.seen_at > db_now() - STALE_SECONDS)
            .order_by(Trouble.seen_at)
        ).all()
    return {row.kind: row.message for row in rows}
