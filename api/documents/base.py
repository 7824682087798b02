"""What documents have in common: pages of them, moments in them, and verbs to link to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")

VERBS = ("cancel", "resume", "retry", "extend", "fork", "clone", "pin", "unpin")
"""What is done to runs, and to experiments, by a POST below their addresses."""


class Document(BaseModel):
    """An answer."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Page(Document, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = None
    """Pass as `?cursor=` for the next page; null on the last."""


def moment(seconds: float) -> datetime:
    """A moment as it is shown."""
    return datetime.fromtimestamp(seconds, UTC)
