"""The stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query

from api.answers.event_stream import EventStream, events_from, read_on
from api.documents.events import EventDocument
from api.state.context import Here
from store import queries

router = APIRouter(prefix="/v1/events", tags=["events"])

LARGEST = 2**63 - 1

LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=LARGEST,
        description="Start after this event. Browsers and `heddle events` send it by themselves.",
    ),
]


async def _place(here: Here) -> AsyncIterator[None]:
    with here.held.place():
        yield


@router.get(
    "",
    operation_id="stream_events",
    # The place is held until the stream has ended.
    dependencies=[Depends(_place)],
    # FastAPI's own class takes only generators, and a generator could no longer refuse a request.
    response_class=EventStream,
    responses={200: {"model": EventDocument, "description": "A stream; this is an event's data."}},
)
async def stream(
    here: Here,
    experiment: Annotated[str | None, Query(description="Only this experiment's events.")] = None,
    after: Annotated[
        int | None,
        Query(
            ge=0,
            le=LARGEST,
            description="The same as Last-Event-ID, which counts where both are given.",
        ),
    ] = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Stream events as they happen (server-sent), each once and in the order of the commits.

    A client that was cut off sends `Last-Event-ID` and misses no event, whatever was restarted
    meanwhile. Without it, the stream of one experiment starts with the experiment's first event,
    and the stream of all experiments starts now. The stream of an experiment ends when the
    experiment is deleted.
    """
    begin = last_event_id if last_event_id is not None else after
    # A request with a fault is refused before the stream begins.
    await read_on(here, begin or 0, experiment, 1)
    if begin is None and experiment is None:
        begin = await to_thread.run_sync(
            queries.last_position, here.database, limiter=here.hub.reading
        )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(events_from(here, begin or 0, experiment), headers=headers)
