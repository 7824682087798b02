"""What happened in an experiment, numbered without gaps in the order of the commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.database import db_now
from store.tables import Event, Experiment


class NewEvent(NamedTuple):
    """An event that has no number yet."""

    experiment_id: str
    type: str
    data: dict[str, Any]


def emit(session: Session, experiment_ids: Iterable[str], type: str, data: dict[str, Any]) -> None:
    """Tell each of these experiments of one event, as part of the session's transaction."""
    emit_all(session, [NewEvent(id, type, data) for id in sorted(set(experiment_ids))])


def emit_all(session: Session, events: Iterable[NewEvent]) -> None:
    """Tell experiments of several events, in the order given within each experiment.

    Numbers are taken under the lock of the experiment's row and held to the commit, so a reader
    never sees a number before the ones below it. Call it once, last, in a transaction: rows are
    locked in the order of their ids.
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
    session.execute(insert(Event), rows)
