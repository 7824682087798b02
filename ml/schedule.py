"""Schedules: how a learning rate or a coefficient changes while a run trains."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from ml.component import Component


class Schedule(Component):
    """By what a learning rate or a coefficient is multiplied at each step."""

    kind: ClassVar[str] = "schedule"
    stretched: ClassVar[bool] = True
    """Whether the factor at a step depends on how many steps the run has in all. Where it does not,
    say so: longer runs then go on from shorter ones."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor at `step` (from 0) of a run of `steps`."""
