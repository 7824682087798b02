"""What is worked out of the database for many who ask, and kept for a moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from store.scheduling.queue import Queue
from store.states import JobKind


@dataclass
class Seen:
    """The queues, and when they were worked out."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    queues: dict[JobKind, tuple[float, Queue]] = field(default_factory=dict)
