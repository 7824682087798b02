"""Schedules: how a learning rate or a coefficient changes while a run trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ml.components.component import Component


class Schedule(Component):
    """The factor of a learning rate or of a coefficient at each step."""

    kind: ClassVar[str] = "schedule"
    stretched: ClassVar[bool] = True
    """Whether the factor at a step depends on how many steps the run has in all. Set it to False if
    it does not, as longer runs then go on from shorter ones."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor at `step` (from 0) of a run of `steps`."""

    def unreached(self, steps: int) -> Mapping[str, str]:  # noqa: ARG002
        """The params whose effect a run of `steps` ends too early for, each with a sentence why.

        A schedule that takes its lengths from the run has none.
        """
        return {}
