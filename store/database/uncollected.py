"""Making many objects without Python's search for cycles among them."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_SECONDS = 5.0
"""For so long at most, cycles pile up where callers follow each other without a break."""

_lock = threading.Lock()
_inside = 0
_since = 0.0


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector of cycles in this process.

    What is read of ten thousand runs is a hundred thousand objects, which all live until they are
    answered. While they are made, the collector looks through all of them again and again, as long
    as all the rest takes. Objects that are in no cycle are freed as ever, and what is in cycles is
    freed when nobody is inside any more. A crowd may always have somebody inside: whoever comes
    then collects now and again.
    """
    global _inside, _since
    with _lock:
        now = time.monotonic()
        due = _inside > 0 and now - _since > LONGEST_SECONDS
        if due or not _inside:
            _since = now
        _inside += 1
        gc.disable()
    try:
        if due:
            gc.collect()
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.enable()
