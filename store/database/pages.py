"""Where the next page of a list begins, as text that clients pass back unread."""

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
    """A stretch of a list that is sorted by id, newest first."""

    items: list[Item]
    #: Pass it back for the items after these; None on the last page.
    next_cursor: str | None


def cut(found: Sequence[Item], limit: int) -> Page[Item]:
    """A page of up to `limit` of the items found, of which one more shows that there are more."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items, _encode(items[-1].id) if more else None)


def decode(cursor: str, kind: Kind) -> str:
    """The id that the previous page ended with.

    Raises:
        BadCursor: if no list of this kind has given out the cursor.
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
