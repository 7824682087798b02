"""Why workers take no jobs, as each reports again and again while the trouble lasts."""

from __future__ import annotations

from sqlalchemy import Double, bindparam, delete, insert, select

from store.database.connection import Database, db_now
from store.database.tables import Trouble
from store.states import JobKind

STALE_SECONDS = 60.0
"""A report that is older than this no longer counts."""


_REPORTED = (
    select(Trouble.kind, Trouble.message)
    .where(Trouble.seen_at > db_now() - bindparam("stale", type_=Double()))
    .order_by(Trouble.seen_at)
)


def record_trouble(database: Database, worker: str, kind: JobKind, message: str) -> None:
    """Record that a worker takes no jobs of a kind at the moment, and why."""
    gone = Trouble.seen_at < db_now() - STALE_SECONDS
    with database.write() as session:
        session.execute(delete(Trouble).where((Trouble.worker == worker) | gone))
        session.execute(
            insert(Trouble).values(worker=worker, kind=kind, message=message, seen_at=db_now())
        )


def end_trouble(database: Database, worker: str) -> None:
    """Record that a worker takes jobs again."""
    with database.write() as session:
        session.execute(delete(Trouble).where(Trouble.worker == worker))


def troubles(database: Database) -> dict[JobKind, str]:
    """The last reported reason why workers of a kind take no jobs; a kind without one is absent."""
    with database.look() as connection:
        rows = connection.execute(_REPORTED, {"stale": STALE_SECONDS}).all()
    return {row.kind: row.message for row in rows}
