"""Logs as text, a line a moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse

from api.documents import moment
from store.log import Line

Tail = Annotated[
    int | None, Query(ge=1, le=100_000, description="Only so many lines, the last ones.")
]


def log_answer(lines: Iterable[Line]) -> PlainTextResponse:
    """`2026-01-31T12:00:00.123Z INFO host:4242 message`; what follows in a message is indented."""
    return PlainTextResponse("".join(f"{_shown(line)}\n" for line in lines))


def _shown(line: Line) -> str:
    at = moment(line.at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{at} {line.level} {line.worker} " + line.message.replace("\n", "\n    ")
