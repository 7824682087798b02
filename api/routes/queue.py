"""The queue: what waits for workers, in which order, and who has had what of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.answers.waiting import reason
from api.documents.base import Document, moment
from api.http.query import Limit, link_next
from api.state.context import Here
from store.scheduling.queue import OwnerStanding, Place
from store.states import JobKind
from store.workers.troubles import troubles

router = APIRouter(prefix="/v1/queue", tags=["queue"])


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


@router.get("", operation_id="get_queue")
def show(
    here: Here,
    request: Request,
    response: Response,
    owner: Annotated[str | None, Query(description="Only this owner's work.")] = None,
    limit: Limit = 50,
    cursor: Annotated[
        int | None, Query(ge=0, le=10**9, description="`next_cursor` of the page before.")
    ] = None,
) -> QueueDocument:
    """What waits, in order: why, in which place, and when it may start."""
    queues = {kind: here.queues.of(kind) for kind in JobKind}
    known = troubles(here.database)
    places = [
        place
        for kind in JobKind
        for place in queues[kind].places
        if owner is None or place.owner == owner
    ]
    first = cursor or 0
    part = places[first : first + limit]
    next_cursor = str(first + limit) if len(places) > first + limit else None
    link_next(request, response, next_cursor)
    return QueueDocument(
        items=[_queued(place, reason(place, queues[place.kind], known)) for place in part],
        next_cursor=next_cursor,
        owners=[
            _share(one, sum(other.served for other in queue.owners))
            for queue in queues.values()
            for one in queue.owners
        ],
        workers={kind: queue.workers for kind, queue in queues.items()},
    )


def _queued(place: Place, why: str) -> QueuedJob:
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


def _share(one: OwnerStanding, total: float) -> OwnerShare:
    return OwnerShare(
        owner=one.owner,
        kind=one.kind,
        waiting=one.waiting,
        running=one.running,
        served_seconds=one.served,
        share=one.served / total if total else None,
    )
