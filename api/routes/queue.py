"""The queue: the jobs that wait for workers, in order, and each owner's share of the workers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.answers.waiting import reason
from api.documents.queue import QueueDocument, queued_document, share_document
from api.http.query import Limit, link_next
from api.state.context import Here
from store.states import JobKind
from store.workers.troubles import troubles

router = APIRouter(prefix="/v1/queue", tags=["queue"])


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
    """List the jobs that wait, in order: why they wait, their places, and when they may start."""
    queues = {kind: here.queues.of(kind) for kind in JobKind}
    known = troubles(here.database)
    places = [
        place
        for kind in JobKind
        for place in queues[kind].queue.places
        if owner is None or place.owner == owner
    ]
    first = cursor or 0
    part = places[first : first + limit]
    next_cursor = str(first + limit) if len(places) > first + limit else None
    link_next(request, response, next_cursor)
    return QueueDocument(
        items=[queued_document(place, reason(place, queues[place.kind], known)) for place in part],
        next_cursor=next_cursor,
        owners=[
            share_document(one, served)
            for found in queues.values()
            for served in [sum(other.served for other in found.queue.owners)]
            for one in found.queue.owners
        ],
        workers={kind: found.queue.workers for kind, found in queues.items()},
    )
