"""What happens, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from api.documents.events import EventDocument, event_document
from api.state.context import Context, Here
from store import queries
from store.database.outages import DATABASE_OUTAGE
from store.errors import NotFound

router = APIRouter(prefix="/v1/events", tags=["events"])

ALIVE_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
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


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


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
    await _read_on(here, begin or 0, experiment, 1)
    if begin is None and experiment is None:
        begin = await to_thread.run_sync(
            queries.last_position, here.database, limiter=here.hub.reading
        )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(_events(here, begin or 0, experiment), headers=headers)


async def _events(here: Context, after: int, experiment: str | None) -> AsyncIterator[bytes]:
    yield format_sse_event(comment="events", retry=RETRY_MILLISECONDS)
    loop = asyncio.get_running_loop()
    said = loop.time()
    while True:
        try:
            found = await _read_on(here, after, experiment)
        except DATABASE_OUTAGE:
            found = queries.Read([], after)
        except NotFound:
            return
        for event in found.events:
            yield _format(event)
        after = found.upto
        if found.events:
            said = loop.time()
        elif loop.time() - said >= ALIVE_SECONDS:
            yield format_sse_event(comment="alive")
            said = loop.time()
        await here.hub.wait(after, said + ALIVE_SECONDS - loop.time())


async def _read_on(
    here: Context, after: int, experiment: str | None, limit: int = 500
) -> queries.Read:
    read = partial(queries.read_on, here.database, after, experiment_id=experiment, limit=limit)
    return await to_thread.run_sync(read, limiter=here.hub.reading)


def _format(event: queries.Event) -> bytes:
    document = event_document(event)
    return format_sse_event(
        event=event.type, id=str(event.position), data_str=document.model_dump_json()
    )
