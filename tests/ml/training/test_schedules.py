"""Schedules at steps worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ml.components.registry import components, find
from ml.schedules.protocol import Schedule

STEPS = 100

BY_HAND: dict[str, tuple[dict[str, Any], dict[int, float]]] = {
    "constant": ({}, {0: 1, 50: 1, 99: 1}),
    "warm_up": ({"over": 10, "start": 0.2}, {0: 0.2, 5: 0.6, 10: 1, 99: 1}),
    "cosine": ({"end": 0.1}, {0: 1, 50: 0.55, 100: 0.1}),
    "exponential": ({"half_life": 20, "floor": 0.1}, {0: 1, 20: 0.5, 40: 0.25, 99: 0.1}),
    "steps": ({"at": [10, 50], "by": 0.1}, {0: 1, 9: 1, 10: 0.1, 49: 0.1, 50: 0.01}),
    "cyclical": ({"cycles": 4, "rise": 0.4}, {0: 0, 5: 0.5, 10: 1, 24: 1, 25: 0, 30: 0.5}),
}


def made(name: str, **params: Any) -> Schedule:
    schedule = find("schedule", name).model_validate({"name": name, **params})
    assert isinstance(schedule, Schedule)
    return schedule


@pytest.mark.parametrize("name", components("schedule"))
def test_factors_are_as_worked_by_hand(name: str) -> None:
    params, expected = BY_HAND[name]
    schedule = made(name, **params)
    found = {step: schedule.factor(step, STEPS) for step in expected}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", components("schedule"))
@pytest.mark.parametrize("steps", [1, 2, 1_000_000])
def test_factors_are_bounded_at_every_step_of_any_run(name: str, steps: int) -> None:
    schedule = made(name)
    assert all(0 <= schedule.factor(step, steps) <= 1 for step in range(0, steps, steps // 7 + 1))


def test_a_cosine_rises_before_it_falls() -> None:
    schedule = made("cosine", warm_up=20)
    factors = [schedule.factor(step, STEPS) for step in range(STEPS)]
    assert factors[:3] == pytest.approx([0, 0.05, 0.1])
    assert factors[20] == 1
    # Half way between the rise and the end.
    assert factors[60] == pytest.approx(0.5)
    assert factors[20:] == sorted(factors[20:], reverse=True)


TOO_LONG: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "warm_up": ({"over": 101, "start": 0.5}, "only rises to 0.99", {"over": 100}),
    "cosine": ({"warm_up": 100}, "never comes to its cosine", {"warm_up": 99}),
    "exponential": ({"half_life": 200}, "only falls to 0.707", {"half_life": 100}),
    "steps": ({"at": [10, 100]}, "before the factor falls at 100", {"at": [10, 99]}),
    "cyclical": ({"cycles": 51}, "1.96 steps", {"cycles": 50}),
}
"""Params that a run of a hundred steps is too short for, what is said, and some that fit."""


@pytest.mark.parametrize("name", components("schedule"))
def test_a_run_that_is_too_short_for_a_schedule_is_told(name: str) -> None:
    if name not in TOO_LONG:
        assert made(name).unreached(1) == {}
        return
    longer, told, fitting = TOO_LONG[name]
    [(param, sentence)] = made(name, **longer).unreached(STEPS).items()
    assert param in longer and told in sentence
    assert made(name, **fitting).unreached(STEPS) == {}


def test_a_floor_that_is_reached_ends_a_decay_in_time() -> None:
    assert made("exponential", half_life=200, floor=0.8).unreached(STEPS) == {}
