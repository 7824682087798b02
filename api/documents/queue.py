"""The queue: work that waits, and what each owner has of the workers."""

from __future__ import annotations

from datetime import datetime

from api.documents.base import Document, moment
from store.scheduling.queue import OwnerStanding, Place
from store.states import JobKind


class QueuedJob(Document):
    """Work that waits for a worker."""

    kind: JobKind
    position: int
    """Among the work of its kind; 1 is next."""
    run: str | None
    """Null for the evaluation of a file."""
    evaluation: str | None
    """Null for training."""
    owner: str
    priority: int
    short: bool
    """Whether it is expected to be so short that it goes before others, within its owner's
    share."""
    posted_at: datetime
    reason: str
    """Why it waits."""
    starts_in_seconds: float | None
    """If nobody posts anything; null before such work was measured here."""
    seconds: float | None
    """That it will take of a worker, by what such work took; null before any was measured."""


class OwnerShare(Document):
    """What one owner has of the workers of a kind."""

    owner: str
    kind: JobKind
    waiting: int
    running: int
    served_seconds: float
    """Of workers, each second worth half after six hours; whoever has least of them is next."""
    share: float | None
    """Of all that was served lately; null where nothing was."""


class QueueDocument(Document):
    """What waits, training first, each kind in the order in which it is taken."""

    items: list[QueuedJob]
    next_cursor: str | None
    """Pass as `?cursor=` for the next page; null on the last."""
    owners: list[OwnerShare]
    """Of each kind, served least first."""
    workers: dict[JobKind, int]
    """Processes that take such work, those in trouble left out."""


def queued_document(place: Place, why: str) -> QueuedJob:
    """Work that waits, as it is shown."""
    return QueuedJob(
        kind=place.kind,
        position=place.position,
        run=place.run_id,
        evaluation=place.evaluation_id,
        owner=place.owner,
        priority=place.priority,
        short=place.short,
        posted_at=moment(place.posted_at),
        reason=why,
        starts_in_seconds=place.starts_in,
        seconds=place.seconds,
    )


def share_document(one: OwnerStanding, total: float) -> OwnerShare:
    """What an owner has of all that was served, as it is shown."""
    return OwnerShare(
        owner=one.owner,
        kind=one.kind,
        waiting=one.waiting,
        running=one.running,
        served_seconds=one.served,
        share=one.served / total if total else None,
    )
