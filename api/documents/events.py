"""Events of experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import Document, moment
from store import queries


class EventDocument(Document):
    """Something that happened to a run in an experiment."""

    position: int
    """The event's number among the events of all experiments. It is the event's id in the
    stream."""
    number: int
    """The event's number among those of its experiment: 1, 2, 3, …"""
    experiment: str
    type: str
    """One of run.queued, run.training, run.evaluating, run.succeeded, run.failed and
    run.cancelled."""
    created_at: datetime
    data: dict[str, Any]
    """The `run_id`, and the `state` that the run counts with in this experiment."""


def event_document(event: queries.Event) -> EventDocument:
    """The document of an event."""
    return EventDocument(
        position=event.position,
        number=event.number,
        experiment=event.experiment_id,
        type=event.type,
        created_at=moment(event.created_at),
        data=event.data,
    )
