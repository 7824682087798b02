"""A cache that all threads share: what was asked for least lately leaves it first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def _one(_: object) -> int:
    return 1


class LruCache(Generic[Key, Value]):
    """Values by key, as many as their sizes leave room for; by default each has the size 1."""

    def __init__(self, room: int, size: Callable[[Value], int] = _one) -> None:
        self._room, self._size = room, size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._taken = 0

    def get(self, key: Key) -> Value | None:
        """The value of this key, if it is here still."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._kept.move_to_end(key)
            return value

    def keep(self, key: Key, value: Value) -> None:
        """Keep a value; one that is larger than all room there is is not kept."""
        if self._size(value) > self._room:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._taken += self._size(value) - (0 if before is None else self._size(before))
            self._kept[key] = value
            while self._taken > self._room:
                _, left = self._kept.popitem(last=False)
                self._taken -= self._size(left)
