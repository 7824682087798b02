"""Writes that are tried again while the database is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from store.database.outages import DATABASE_OUTAGE
from store.settings import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")


def patiently(
    write: Callable[[], T], settings: Settings, wait: Callable[[float], object] = time.sleep
) -> T:
    """Try a write again while the database is away, for as long as a lease lasts.

    `wait` is called with the seconds between two tries, and may raise to give up earlier.
    """
    give_up = time.monotonic() + settings.lease_seconds
    while True:
        try:
            return write()
        except DATABASE_OUTAGE as error:
            if time.monotonic() > give_up:
                raise
            logger.warning("the database is away; trying again: %s", error)
        wait(settings.beat_seconds)
