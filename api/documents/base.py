"""What documents share: their base class, pages, times, and the verbs that they link to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Generic, TypeVar

from ml.components.described import Described

T = TypeVar("T")

VERBS = ("cancel", "resume", "retry", "extend", "fork", "clone", "pin", "unpin")
"""The actions on a run or an experiment, each a POST to `<its address>/<verb>`."""


class Document(Described):
    """The base of every answer. Docstrings of fields become their descriptions in OpenAPI."""


class Page(Document, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None
    """Pass it as `?cursor=` to get the next page. It is null on the last page."""


def moment(seconds: float) -> datetime:
    """The UTC time of these seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
