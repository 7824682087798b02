"""What an attempt measures of its own training: steps, their seconds, the device's energy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

READ_SECONDS = 1.0
"""The counter of energy is read no more often than this. A read may take a millisecond, which is as
long as a step may take."""


class _Seen(NamedTuple):
    step: int
    at: float
    joules: float | None


def _unknown() -> None:
    return None


class Measuring:
    """Watches the steps of one attempt to train one run.

    `energy` reads a counter of joules of the whole device, or gives None where there is none.
    """

    def __init__(self, energy: Callable[[], float | None] = _unknown) -> None:
        self._energy = energy
        self._first: _Seen | None = None
        self._newest: _Seen | None = None
        self._read_at = 0.0
        self._over = False

    def hear(self, stage: str, step: int) -> None:
        """Note where the work is. This is cheap enough for every step."""
        now = time.monotonic()
        if self._newest is None:
            if stage == "training":
                self._first = self._newest = _Seen(step, now, self._read(now))
        elif stage == "training":
            due = now - self._read_at >= READ_SECONDS
            joules = self._read(now) if due else self._newest.joules
            self._newest = _Seen(step, now, joules)
        elif not self._over:
            self._over = True
            self._newest = self._newest._replace(joules=self._read(now))

    def document(self) -> dict[str, Any] | None:
        """What was measured from the end of the first step noted to the newest; None before it."""
        first, newest = self._first, self._newest
        if first is None or newest is None:
            return None
        joules = None
        if first.joules is not None and newest.joules is not None:
            joules = round(newest.joules - first.joules, 3)
        return {
            "from_step": first.step,
            "to_step": newest.step,
            "step_seconds": round(newest.at - first.at, 4),
            "energy_joules": joules,
        }

    def _read(self, now: float) -> float | None:
        self._read_at = now
        return self._energy()
