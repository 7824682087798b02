"""What happens, as it happens."""

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
        description="Go on after this event; browsers and `heddle events` send it by themselves.",
    ),
]


async def _place(here: Here) -> AsyncIterator[None]:
    with here.held.place():
        yield


@router.get(
    "",
    operation_id="stream_events",
    # Until the stream has ended.
    dependencies=[Depends(_place)],
    # FastAPI's own class takes only generators, which could not refuse a request any more.
    response_class=EventStream,
    responses={200: {"model": EventDocument, "description": "A stream; this is an event's data."}},
)
async def stream(
    here: Here,
    experiment: Annotated[str | None, Query(description="Only this one's events.")] = None,
    after: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="As Last-Event-ID, which goes before it.")
    ] = None,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Events as they happen (server-sent), each once and in the order of the commits.

    A client that was cut off goes on by `Last-Event-ID` and misses nothing, whatever was restarted
    meanwhile. Without it an experiment's events come from its first on, those of all experiments
    from now on. The stream of an experiment ends when that is deleted.
    """
    begin = last_event_id if last_event_id is not None else after
    # What is wrong is told before the stream begins.
    await read_on(here, begin or 0, experiment, 1)
    if begin is None and experiment is None:
        begin = await to_thread.run_sync(
            queries.last_position, here.database, limiter=here.hub.reading
        )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(events_from(here, begin or 0, experiment), headers=headers)
