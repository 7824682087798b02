"""Exponential decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class Exponential(Schedule):
    """A fall that halves the factor every `half_life` steps, down to `floor`."""

    stretched: ClassVar[bool] = False
    name: Literal["exponential"] = "exponential"
    half_life: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Steps in which the factor halves."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The lowest factor."""

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return max(self.floor, float(2.0 ** (-step / self.half_life)))

    def unreached(self, steps: int) -> Mapping[str, str]:
        reached = self.factor(steps, steps)
        if reached <= max(0.5, self.floor):
            return {}
        return {"half_life": f"the factor only falls to {reached:.3g}"}
