"""Pages of a list, and cursors: texts that clients pass back to get the next page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from store.database.ids import Kind, is_id
from store.errors import BadCursor


class _Listed(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Listed)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list that is sorted by id, newest first."""

    items: list[Item]
    #: The cursor of the page after this one; None on the last page.
    next_cursor: str | None


def cut(found: Sequence[Item], limit: int) -> Page[Item]:
    """A page of up to `limit` items. If more than that were found, there is a next page."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items, _encode(items[-1].id) if more else None)


def decode(cursor: str, kind: Kind) -> str:
    """The id that the previous page ended with.

    Raises:
        BadCursor: if the cursor is not one of a list of this kind.
    """
    try:
        id = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii")
    except (UnicodeError, binascii.Error):
        raise BadCursor(cursor) from None
    if not is_id(id, kind) or _encode(id) != cursor:
        raise BadCursor(cursor)
    return id


def _encode(id: str) -> str:
    return base64.urlsafe_b64encode(id.encode()).decode()
