"""What happened in an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from store import tables
from store.database import Database
from store.errors import NotFound


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in an experiment."""

    experiment_id: str
    number: int
    type: str
    data: dict[str, Any]
    created_at: float


def events(
    database: Database, experiment_id: str, *, after: int = 0, limit: int = 1000
) -> list[Event]:
    """An experiment's events in order, from the one after number `after`.

    Raises:
        NotFound: if there is no such experiment.
    """
    with database.read() as session:
        if session.get(tables.Experiment, experiment_id) is None:
            raise NotFound("experiment", experiment_id)
        rows = session.scalars(
            select(tables.Event)
            .where(tables.Event.experiment_id == experiment_id, tables.Event.number > after)
            .order_by(tables.Event.number)
            .limit(limit)
        )
        return [
            Event(
                experiment_id=row.experiment_id,
                number=row.number,
                type=row.type,
                data=row.data,
                created_at=row.created_at,
            )
            for row in rows
        ]
