"""The queue: the jobs that wait, and each owner's share of the workers."""

from __future__ import annotations

from datetime import datetime

from api.documents.base import Document, moment
from store.scheduling.queue import OwnerStanding, Place
from store.states import JobKind


class QueuedJob(Document):
    """A job that waits for a worker."""

    kind: JobKind
    position: int
    """The place among the jobs of this kind. 1 is next."""
    run: str | None
    """It is null for the evaluation of a file."""
    evaluation: str | None
    """It is null for training."""
    owner: str
    priority: int
    short: bool
    """Whether the job is expected to be short. Short jobs go before others, within their owner's
    share."""
    posted_at: datetime
    reason: str
    """Why the job waits."""
    starts_in_seconds: float | None
    """The time until it starts, if nobody posts other work. It is null until a job like it has been
    measured here."""
    seconds: float | None
    """The time that it will take a worker, by earlier jobs like it. It is null until one has been
    measured here."""


class OwnerShare(Document):
    """One owner's share of the workers of a kind."""

    owner: str
    kind: JobKind
    waiting: int
    running: int
    served_seconds: float
    """The seconds of workers that this owner had. A second's weight halves every six hours. The
    owner with the least comes next."""
    share: float | None
    """The owner's part of all served seconds. It is null where there are none."""


class QueueDocument(Document):
    """The jobs that wait, training first. Each kind is in the order in which workers take it."""

    items: list[QueuedJob]
    next_cursor: str | None
    """Pass it as `?cursor=` to get the next page. It is null on the last page."""
    owners: list[OwnerShare]
    """The owners' shares by kind. The owner who was served least comes first."""
    workers: dict[JobKind, int]
    """The number of worker processes of each kind, without those in trouble."""


def queued_document(place: Place, why: str) -> QueuedJob:
    """The document of a job that waits."""
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
    """The document of an owner's share. `total` is the served seconds of all owners."""
    return OwnerShare(
        owner=one.owner,
        kind=one.kind,
        waiting=one.waiting,
        running=one.running,
        served_seconds=one.served,
        share=one.served / total if total else None,
    )
