"""Logs as text or as pages of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from api.documents.base import Page, moment
from api.documents.logs import LogLine, log_document
from api.http.negotiation import prefers_json
from api.http.query import link_next
from store.errors import BadCursor
from store.jobs.log import KeptLine, Line

MOST_NUMBER = 2**63 - 1
MOST_LINES = 100_000


class Asked(NamedTuple):
    """The part and the form of a log that a request asks for."""

    tail: int | None
    cursor: str | None
    limit: int | None
    as_json: bool


async def _asked(
    request: Request,
    tail: Annotated[
        int | None, Query(ge=1, le=MOST_LINES, description="Only the last lines, as many as this.")
    ] = None,
    cursor: Annotated[
        str | None,
        Query(description="Only the lines after a line: its `cursor`, or `next_cursor`."),
    ] = None,
    limit: Annotated[
        int | None,
        Query(ge=1, le=500, description="Lines a page; by default 500 of JSON, all of text."),
    ] = None,
) -> Asked:
    return Asked(tail, cursor, limit, prefers_json(request))


AskedLog = Annotated[Asked, Depends(_asked)]

LOG_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Text, or JSON if the Accept header prefers it.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


def log_answer(request: Request, asked: Asked, lines: Callable[..., list[KeptLine]]) -> Response:
    """The lines that a request asks for.

    A line of text is `2026-01-31T12:00:00.123Z INFO host:4242 message`. Further lines of a message
    are indented.
    """
    after = _number(asked.cursor)
    if asked.tail is not None:
        found, more = lines(tail=asked.tail, after=after), False
    else:
        limit = asked.limit or (500 if asked.as_json else None)
        found = lines(after=after, limit=None if limit is None else limit + 1)
        more = limit is not None and len(found) > limit
        found = found[:limit]
    next_cursor = str(found[-1].number) if more else None
    if asked.as_json:
        page = Page[LogLine](items=[log_document(line) for line in found], next_cursor=next_cursor)
        answer: Response = JSONResponse(page.model_dump(mode="json"))
    else:
        answer = PlainTextResponse(as_text(found))
    answer.headers["Vary"] = "Accept"
    link_next(request, answer, next_cursor)
    return answer


def as_text(lines: Iterable[Line]) -> str:
    """The lines as text. Further lines of a message are indented."""
    return "".join(f"{_shown(line)}\n" for line in lines)


def _number(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 20):
        raise BadCursor(cursor)
    number = int(cursor)
    if number > MOST_NUMBER:
        raise BadCursor(cursor)
    return number


def _shown(line: Line) -> str:
    at = moment(line.at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{at} {line.level} {line.worker} " + line.message.rstrip("\n").replace("\n", "\n    ")
