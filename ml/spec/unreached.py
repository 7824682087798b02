"""Params of schedules and objectives that ask for more steps than their run has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ml.objectives.protocol import Objective
from ml.schedules.protocol import Schedule
from ml.spec.run_spec import RunSpec


class Unreached(NamedTuple):
    """A param that asks for more steps than its run has."""

    path: str
    """The param's dotted path, as in `training.schedule.over`."""
    value: Any
    steps: int
    """The run's number of steps."""
    instead: str
    """What happens instead, as a sentence without a full stop."""

    def __str__(self) -> str:
        return f"{self.path} is {_shown(self.value)} of {self.steps:,} steps: {self.instead}"


def unreached(spec: RunSpec) -> list[Unreached]:
    """Every param of a spec that asks for more steps than its run has."""
    steps = spec.training.steps
    return [
        Unreached(f"{path}.{param}", getattr(component, param), steps, instead)
        for path, component in _counting(spec)
        for param, instead in component.unreached(steps).items()
    ]


def _counting(spec: RunSpec) -> Iterator[tuple[str, Objective | Schedule]]:
    """The components that may count steps, by their paths."""
    yield "objective", spec.objective
    yield "training.schedule", spec.training.schedule
    for name, schedule in spec.training.coefficients.items():
        yield f"training.coefficients.{name}", schedule


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_shown, value))
    return f"{value:,g}" if isinstance(value, float) and value < 1e6 else f"{value:,.0f}"
