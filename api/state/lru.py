"""A thread-safe cache that drops the least recently used values first."""

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
    """Values by key, as many as there is room for. By default each value has the size 1."""

    def __init__(self, room: int, size: Callable[[Value], int] = _one) -> None:
        self._room, self._size = room, size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._taken = 0

    def get(self, key: Key) -> Value | None:
        """The value of this key, or None if it is not in the cache."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._kept.move_to_end(key)
            return value

    def keep(self, key: Key, value: Value) -> None:
        """Add a value. A value that is larger than the whole cache is not added."""
        if self._size(value) > self._room:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._taken += self._size(value) - (0 if before is None else self._size(before))
            self._kept[key] = value
            while self._taken > self._room:
                _, left = self._kept.popitem(last=False)
                self._taken -= self._size(left)
