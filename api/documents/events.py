"""An event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import Document, moment
from store import queries


class EventDocument(Document):
    """Something that happened to a run in an experiment."""

    position: int
    """Its place among the events of all experiments, which is the event's id in the stream."""
    number: int
    """Its place among its experiment's: 1, 2, 3, …"""
    experiment: str
    type: str
    """run.queued, run.training, run.evaluating, run.succeeded, run.failed or run.cancelled."""
    created_at: datetime
    data: dict[str, Any]
    """Of a run: `run_id`, and the `state` that it counts with in this experiment."""


def event_document(event: queries.Event) -> EventDocument:
    """An event as it is shown."""
    return EventDocument(
        position=event.position,
        number=event.number,
        experiment=event.experiment_id,
        type=event.type,
        created_at=moment(event.created_at),
        data=event.data,
    )
