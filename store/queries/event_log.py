"""Reading events, in the order of the commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.errors import NotFound
from store.jobs.events import POSITIONS


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an experiment."""

    experiment_id: str
    #: Its number within the experiment. There are no gaps.
    number: int
    #: Its position among the events of all experiments.
    position: int
    type: str
    data: dict[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class Read:
    """Events that were read, and how far the reader has come."""

    events: list[Event]
    #: The reader knows all matching events up to this position.
    upto: int


def events(
    database: Database, experiment_id: str, *, after: int = 0, limit: int = 1000
) -> list[Event]:
    """An experiment's events in order, beginning after the one with number `after`.

    Raises:
        NotFound: if there is no such experiment.
    """
    with database.read() as session:
        _check(session, experiment_id)
        rows = session.scalars(
            select(tables.Event)
            .where(tables.Event.experiment_id == experiment_id, tables.Event.number > after)
            .order_by(tables.Event.number)
            .limit(limit)
        ).all()
    return [_event(row) for row in rows]


def read_on(
    database: Database, after: int, *, experiment_id: str | None = None, limit: int = 500
) -> Read:
    """Events of one experiment or of all, in order, beginning after position `after`.

    No event up to `upto` can appear later, as positions are given under a lock that is held to the
    commit.

    Raises:
        NotFound: if there is no such experiment.
    """
    event = tables.Event
    query = select(event).where(event.position > after).order_by(event.position).limit(limit)
    with database.read() as session:
        if experiment_id is not None:
            _check(session, experiment_id)
            query = query.where(event.experiment_id == experiment_id)
        upto = _last(session)
        rows = session.scalars(query).all()
    found = [_event(row) for row in rows]
    if len(found) == limit:
        upto = found[-1].position
    return Read(found, max(after, upto))


def last_position(database: Database) -> int:
    """The position of the newest event; 0 if there was none."""
    with database.read() as session:
        return _last(session)


def _last(session: Session) -> int:
    counter = tables.Counter
    return session.scalar(select(counter.value).where(counter.name == POSITIONS)) or 0


def _check(session: Session, experiment_id: str) -> None:
    if session.get(tables.Experiment, experiment_id) is None:
        raise NotFound("experiment", experiment_id)


def _event(row: tables.Event) -> Event:
    return Event(
        experiment_id=row.experiment_id,
        number=row.number,
        position=row.position,
        type=row.type,
        data=row.data,
        created_at=row.created_at,
    )
