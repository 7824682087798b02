"""Pictures in memory: those that were asked for lately, bounded by their bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

MOST_BYTES = 64 * 2**20


class KeptPictures:
    """Files by what they were drawn from; the one that was asked for least lately leaves first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """The file drawn from this, if it is here still."""
        with self._lock:
            content = self._kept.get(key)
            if content is not None:
                self._kept.move_to_end(key)
            return content

    def keep(self, key: str, content: bytes) -> None:
        """Keep a file; one that is larger than all room there is is not kept."""
        if len(content) > self._most_bytes:
            return
        with self._lock:
            self._bytes += len(content) - len(self._kept.pop(key, b""))
            self._kept[key] = content
            while self._bytes > self._most_bytes:
                _, left = self._kept.popitem(last=False)
                self._bytes -= len(left)
