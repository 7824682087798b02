"""Streams of server-sent events, each over a connection that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from anyio import to_thread
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from api.documents.events import event_document
from api.state.context import Context
from store import queries
from store.database.outages import DATABASE_OUTAGE
from store.errors import NotFound

ALIVE_SECONDS = 15.0
RETRY_MILLISECONDS = 2000


class EventStream(StreamingResponse):
    """A response that streams server-sent events."""

    media_type = "text/event-stream"


async def events_from(here: Context, after: int, experiment: str | None) -> AsyncIterator[bytes]:
    """The events after this position as they happen, until the experiment is deleted."""
    yield format_sse_event(comment="events", retry=RETRY_MILLISECONDS)
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    while True:
        try:
            found = await read_on(here, after, experiment)
        except DATABASE_OUTAGE:
            found = queries.Read([], after)
        except NotFound:
            return
        for event in found.events:
            yield _format(event)
        after = found.upto
        if found.events:
            sent_at = loop.time()
        elif loop.time() - sent_at >= ALIVE_SECONDS:
            yield format_sse_event(comment="alive")
            sent_at = loop.time()
        await here.hub.wait(after, sent_at + ALIVE_SECONDS - loop.time())


async def read_on(
    here: Context, after: int, experiment: str | None, limit: int = 500
) -> queries.Read:
    """The events after this position that have happened so far.

    Raises:
        NotFound: there is no such experiment.
    """
    read = partial(queries.read_on, here.database, after, experiment_id=experiment, limit=limit)
    return await to_thread.run_sync(read, limiter=here.hub.reading)


def _format(event: queries.Event) -> bytes:
    document = event_document(event)
    return format_sse_event(
        event=event.type, id=str(event.position), data_str=document.model_dump_json()
    )
