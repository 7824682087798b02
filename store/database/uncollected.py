"""Making many objects without Python's search for cycles among them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector of cycles in this process.

    What is read of ten thousand runs is a hundred thousand objects, which all live until they are
    answered. While they are made, the collector looks through all of them again and again, as long
    as all the rest takes. Objects that are in no cycle are freed as ever, and what is in cycles is
    freed when nobody is inside any more.
    """
    global _inside
    with _lock:
        _inside += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.enable()
