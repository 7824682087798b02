"""Emitting events of experiments. They are numbered without gaps, in the order of the commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.database.connection import db_now
from store.database.rows import insert_into, insert_rows
from store.database.tables import Counter, Event, Experiment

POSITIONS = "events"
"""The name of the counter of all events."""


class NewEvent(NamedTuple):
    """An event that has no number yet."""

    experiment_id: str
    type: str
    data: dict[str, Any]


def emit(session: Session, experiment_ids: Iterable[str], type: str, data: dict[str, Any]) -> None:
    """Emit an event to each of these experiments, as part of the session's transaction."""
    emit_all(session, [NewEvent(id, type, data) for id in sorted(set(experiment_ids))])


def emit_all(session: Session, events: Iterable[NewEvent]) -> None:
    """Emit several events. Each experiment gets its own in the order given.

    An event's number is taken under the lock of its experiment's row. Its position among all events
    is taken under the lock of the counter's row. Both locks are held to the commit, so a reader
    never sees an event before the ones below it. Call this once, at the end of a transaction: it
    locks rows in the order of their ids.
    """
    by_experiment: dict[str, list[NewEvent]] = defaultdict(list)
    for event in events:
        by_experiment[event.experiment_id].append(event)
    if not by_experiment:
        return
    now = session.scalar(select(db_now()))
    rows: list[dict[str, Any]] = []
    for experiment_id, found in sorted(by_experiment.items()):
        last = session.scalars(
            update(Experiment)
            .where(Experiment.id == experiment_id)
            .values(events=Experiment.events + len(found))
            .returning(Experiment.events)
        ).one()
        first = last - len(found) + 1
        rows.extend(
            {**event._asdict(), "number": number, "created_at": now}
            for number, event in enumerate(found, start=first)
        )
    # This must be the last lock of the transaction, as all others with events wait for it.
    last = session.scalars(
        insert_into(session, Counter)
        .values(name=POSITIONS, value=len(rows))
        .on_conflict_do_update(index_elements=["name"], set_={"value": Counter.value + len(rows)})
        .returning(Counter.value)
    ).one()
    for position, row in enumerate(rows, start=last - len(rows) + 1):
        row["position"] = position
    insert_rows(session, Event, rows)
