"""Whether requests can be served: the database, the broker and the object folder, looked at."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select

from api.documents.base import Document
from api.state.hints import Hints
from store.database.connection import Database
from store.database.outages import DATABASE_OUTAGE, outage_reason
from store.errors import StorageTrouble
from store.files.folders import check_mark
from store.files.objects import ObjectFolder

PROBE_BYTES = 4096
"""A block, so that a disk without room for one is found."""

OK_SECONDS = 2.0
TROUBLE_SECONDS = 0.5
"""How long what was found is told: whoever waits for a service to come up looks again and again."""

Answer = Literal["ok", "unreachable"]


class Readiness(Document):
    """Whether requests can be served."""

    database: Answer
    """Unreachable: not ready (503)."""
    broker: Answer
    """Unreachable: requests are served and kept, and work starts when it is back."""
    storage: str
    """`ok`, or why files cannot be kept; all that needs none is served."""


def look(database: Database, hints: Hints, objects: ObjectFolder) -> Readiness:
    """Ask the database and the broker, and keep a block in the object folder for a moment."""
    try:
        with database.read() as session:
            session.execute(select(1))
        answers: Answer = "ok"
    except DATABASE_OUTAGE:
        answers = "unreachable"
    return Readiness(
        database=answers,
        broker="ok" if hints.reachable() else "unreachable",
        storage=_storage(database, objects),
    )


def keep_seconds(found: Readiness) -> float:
    """How long this may be told again."""
    good = found.database == found.broker == found.storage == "ok"
    return OK_SECONDS if good else TROUBLE_SECONDS


def _storage(database: Database, objects: ObjectFolder) -> str:
    try:
        check_mark(database, objects)
        objects.check_writable(PROBE_BYTES)
    except StorageTrouble as trouble:
        return str(trouble)
    except DATABASE_OUTAGE as error:
        return f"The database {outage_reason(error)}, so that nobody knows whose the folder is."
    return "ok"
