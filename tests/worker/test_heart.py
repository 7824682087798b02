"""When a process ends by force: it must not hold a device for work that is no longer its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.worker.workplace import until
from worker.heart import Heart

BEAT_SECONDS, LEAST_SECONDS, GRACE_SECONDS = 0.1, 0.6, 2.0
STOP_SECONDS = 0.8


class Held:
    """A lease of work that neither ends nor says anything."""

    beat_seconds = BEAT_SECONDS

    def __init__(self) -> None:
        self.lost = self.cancelled = self.stopped = False

    def stop_by_force(self) -> None:
        self.stopped = True

    def beat_or_lose(self) -> bool:
        return self.lost


class Process:
    """Notes when it is ended by force."""

    def __init__(self) -> None:
        self.ended_at: float | None = None

    def end(self, _status: int) -> None:
        self.ended_at = self.ended_at or time.monotonic()

    def seconds_to_its_end(self, most: float) -> float:
        began = time.monotonic()
        until(lambda: self.ended_at is not None, most)
        return (self.ended_at or 0.0) - began


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    process = Process()
    monkeypatch.setattr("worker.heart.os._exit", process.end)
    monkeypatch.setattr("worker.heart.LEAST_SECONDS", LEAST_SECONDS)
    monkeypatch.setattr("worker.heart.GRACE_SECONDS", GRACE_SECONDS)
    monkeypatch.setattr("worker.heart.STOP_SECONDS", STOP_SECONDS)
    return process


@pytest.fixture
def heart() -> Heart:
    return Heart()


@pytest.fixture
def held(heart: Heart) -> Iterator[list[Held]]:
    """Two leases of one process, which are beaten for until the test is over."""
    leases = [Held(), Held()]
    for lease in leases:
        heart.add(lease)
    yield leases
    for lease in leases:
        heart.remove(lease)


def test_a_process_that_has_lost_all_its_leases_ends_after_one_more_beat(
    process: Process, held: list[Held]
) -> None:
    for lease in held:
        lease.lost = True
    assert LEAST_SECONDS * 0.9 < process.seconds_to_its_end(10) < GRACE_SECONDS * 0.9


def test_work_that_ends_in_time_costs_no_process(process: Process, held: list[Held]) -> None:
    for lease in held:
        lease.lost = True
    time.sleep(LEAST_SECONDS / 3)
    for lease in held:
        lease.lost = False
    time.sleep(LEAST_SECONDS)
    assert process.ended_at is None


def test_a_process_that_has_a_good_lease_is_given_time(process: Process, held: list[Held]) -> None:
    held[0].lost = True
    assert process.seconds_to_its_end(10) > GRACE_SECONDS * 0.9


def test_a_process_that_has_a_good_lease_goes_on_while_its_work_is_heard_of(
    process: Process, heart: Heart, held: list[Held]
) -> None:
    held[0].lost = True
    until_then = time.monotonic() + 1.5 * GRACE_SECONDS
    while time.monotonic() < until_then:
        heart.hear()
        time.sleep(0.05)
    assert process.ended_at is None


def test_cancelled_work_that_hears_nothing_ends_and_says_so(
    process: Process, held: list[Held]
) -> None:
    for lease in held:
        lease.cancelled = True
    assert process.seconds_to_its_end(10) < GRACE_SECONDS
    assert all(lease.stopped for lease in held)


def test_cancelled_work_does_not_end_its_neighbours(process: Process, held: list[Held]) -> None:
    held[0].cancelled = True
    time.sleep(2 * STOP_SECONDS)
    assert process.ended_at is None and not held[0].stopped


def test_cancelled_work_that_is_heard_of_ends_by_itself(
    process: Process, heart: Heart, held: list[Held]
) -> None:
    for lease in held:
        lease.cancelled = True
    until_then = time.monotonic() + 2 * STOP_SECONDS
    while time.monotonic() < until_then:
        heart.hear()
        time.sleep(0.05)
    assert process.ended_at is None
