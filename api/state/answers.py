"""Answers that take long to make, kept for as long as what they were made from stays the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from api.state.lru import LruCache

ANSWER_BYTES = 192 * 2**20
BESIDE_BYTES = 1024
"""What an answer takes besides its own bytes, for its key for instance. Most answers are small."""

Key = tuple[str | int | None, ...]


class Answers:
    """The newest answers by what was asked and by a digest of all that the answer depends on."""

    def __init__(self, room: int = ANSWER_BYTES) -> None:
        # Only the newest answer to a question is asked for again.
        self._kept: LruCache[Key, tuple[str, bytes]] = LruCache(room, _size)
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[Key, _Turn] = WeakValueDictionary()

    def get(self, asked: Key, digest: str, make: Callable[[], tuple[str, bytes]]) -> bytes:
        """The answer to what was asked, as of the `digest` or newer.

        `make` gives an answer, and the digest of what it was made from: both must be read in one
        transaction, as what was read for `digest` may have changed since. While one request makes
        an answer, others that ask for the same wait for it.
        """
        found = self._kept.get(asked)
        if found is not None and found[0] == digest:
            return found[1]
        with self._lock:
            turn = self._turns.get(asked)
            if turn is None:
                turn = self._turns[asked] = _Turn()
        with turn.lock:
            found = self._kept.get(asked)
            if found is None or found[0] != digest:
                found = make()
                self._kept.keep(asked, found)
            return found[1]


def _size(answer: tuple[str, bytes]) -> int:
    return len(answer[1]) + BESIDE_BYTES


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
