"""Schedules: how a learning rate or a coefficient changes while a run trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ml.components.component import Component


class Schedule(Component):
    """By what a learning rate or a coefficient is multiplied at each step."""

    kind: ClassVar[str] = "schedule"
    stretched: ClassVar[bool] = True
    """Whether the factor at a step depends on how many steps the run has in all. Where it does not,
    say so: longer runs then go on from shorter ones."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor at `step` (from 0) of a run of `steps`."""

    def unreached(self, steps: int) -> Mapping[str, str]:  # noqa: ARG002
        """What of it a run of `steps` ends too early for: a sentence by the param that asks for it.

        Of a schedule that takes its lengths from the run, nothing.
        """
        return {}
