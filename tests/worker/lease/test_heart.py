"""When a process ends by force: it must not hold a device for work that is no longer its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from worker.lease.heart import Beating, Heart

BEAT_SECONDS, LEAST_SECONDS, GRACE_SECONDS = 0.1, 0.6, 2.0
STOP_SECONDS = 0.8
#: A hundredth of a beat, as times are sums.
EXACTLY = 1e-3


class Held:
    """A lease of work that neither ends nor says anything."""

    beat_seconds = BEAT_SECONDS

    def __init__(self) -> None:
        self.lost = self.cancelled = self.stopped = False

    def stop_by_force(self) -> None:
        self.stopped = True

    def beat_or_lose(self) -> bool:
        return self.lost


class Ended(BaseException):
    """The process was ended by force."""


class Over(BaseException):
    """It was looked at for long enough."""


class Beats:
    """A heart that beats in the test's own thread, and whose time passes as it waits."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr("worker.lease.heart.time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr("worker.lease.heart.os._exit", self._exit)
        self.heart = Heart()
        self.heart._wake = cast("object", self)  # type: ignore[assignment]
        self._until = math.inf
        self._meanwhile: Callable[[float], object] = lambda _: None
        self._began = self.now

    def seconds_to_the_end(
        self,
        held: list[Held],
        most: float = 60.0,
        meanwhile: Callable[[float], object] = lambda _: None,
    ) -> float | None:
        """How long it beats for these until it ends the process; None if for longer than `most`.

        `meanwhile` is told after each beat how long it has been.
        """
        self._began, self._meanwhile = self.now, meanwhile
        self._until = self.now + most
        self.heart._leases = cast("list[Beating]", held)
        try:
            self.heart._beats()
        except Ended:
            return self.now - self._began
        except Over:
            pass
        return None

    def wait(self, seconds: float) -> None:
        if self.now > self._until:
            raise Over
        self.now += seconds
        self._meanwhile(self.now - self._began)

    def clear(self) -> None:
        pass

    def _exit(self, _status: int) -> None:
        raise Ended


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Beats:
    monkeypatch.setattr("worker.lease.heart.LEAST_SECONDS", LEAST_SECONDS)
    monkeypatch.setattr("worker.lease.heart.GRACE_SECONDS", GRACE_SECONDS)
    monkeypatch.setattr("worker.lease.heart.STOP_SECONDS", STOP_SECONDS)
    return Beats(monkeypatch)


@pytest.fixture
def held() -> list[Held]:
    """Two leases of one process."""
    return [Held(), Held()]


def test_a_process_that_has_lost_all_its_leases_ends_after_one_more_beat(
    beats: Beats, held: list[Held]
) -> None:
    for lease in held:
        lease.lost = True
    seconds = beats.seconds_to_the_end(held)
    assert seconds is not None
    assert LEAST_SECONDS - EXACTLY <= seconds <= LEAST_SECONDS + BEAT_SECONDS + EXACTLY


def test_a_long_beat_is_the_time_that_such_a_process_has(beats: Beats) -> None:
    lease = Held()
    lease.beat_seconds, lease.lost = 3.0, True
    # Its work is heard of: it is the beat that counts.
    seconds = beats.seconds_to_the_end([lease], meanwhile=lambda _: beats.heart.hear())
    assert seconds == pytest.approx(3.0)


def test_work_that_ends_in_time_costs_no_process(beats: Beats, held: list[Held]) -> None:
    for lease in held:
        lease.lost = True

    def ends(seconds: float) -> None:
        if seconds > LEAST_SECONDS / 2:
            held[0].lost = held[1].lost = False

    assert beats.seconds_to_the_end(held, 3 * GRACE_SECONDS, ends) is None


def test_a_process_that_has_a_good_lease_is_given_time(beats: Beats, held: list[Held]) -> None:
    held[0].lost = True
    seconds = beats.seconds_to_the_end(held)
    assert seconds is not None
    assert GRACE_SECONDS - EXACTLY <= seconds <= GRACE_SECONDS + 2 * BEAT_SECONDS


def test_a_process_that_has_a_good_lease_goes_on_while_its_work_is_heard_of(
    beats: Beats, held: list[Held]
) -> None:
    held[0].lost = True
    assert beats.seconds_to_the_end(held, meanwhile=lambda _: beats.heart.hear()) is None


def test_cancelled_work_that_hears_nothing_ends_and_says_so(beats: Beats, held: list[Held]) -> None:
    for lease in held:
        lease.cancelled = True
    seconds = beats.seconds_to_the_end(held)
    assert seconds is not None
    assert STOP_SECONDS - EXACTLY <= seconds <= STOP_SECONDS + 2 * BEAT_SECONDS
    assert all(lease.stopped for lease in held)


def test_cancelled_work_does_not_end_its_neighbours(beats: Beats, held: list[Held]) -> None:
    held[0].cancelled = True
    assert beats.seconds_to_the_end(held) is None
    assert not held[0].stopped


def test_cancelled_work_that_is_heard_of_ends_by_itself(beats: Beats, held: list[Held]) -> None:
    for lease in held:
        lease.cancelled = True
    assert beats.seconds_to_the_end(held, meanwhile=lambda _: beats.heart.hear()) is None
    assert not any(lease.stopped for lease in held)


def test_a_heart_without_leases_stops(beats: Beats) -> None:
    beats.heart._beats()
    assert beats.heart._thread is None
