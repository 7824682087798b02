"""Dropping the codes of every image of a data set, of which a run keeps a sample."""

from __future__ import annotations

from sqlalchemy import delete, select

from store.database.connection import Database, db_now
from store.database.tables import Artifact
from store.files.artifact_names import GRID_CODES
from store.jobs.announce import lock_runs

_RUNS_AT_ONCE = 100
_DAY = 86400.0


def drop_grid_codes(database: Database, *, days: float) -> int:
    """Forget the grid codes that are older than some days. The runs keep all their other files.

    `store.retention.collect` removes the files then. An evaluation that needs the codes again makes
    them anew.

    Returns:
        How many were dropped.
    """
    dropped = 0
    old = (Artifact.name == GRID_CODES, Artifact.created_at < db_now() - days * _DAY)
    while True:
        with database.read() as session:
            query = select(Artifact.run_id).where(*old).distinct().limit(_RUNS_AT_ONCE)
            runs = session.scalars(query).all()
        if not runs:
            return dropped
        with database.write() as session:
            lock_runs(session, runs)
            going = session.scalars(
                select(Artifact.id).where(Artifact.run_id.in_(runs), *old)
            ).all()
            session.execute(delete(Artifact).where(Artifact.id.in_(going)))
            dropped += len(going)
