"""Rises that begin again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class Cyclical(Schedule):
    """In each of `cycles` equal parts of the run, a straight rise from 0 to 1, then 1.

    For the weight of a KL, which latents that had switched off get another chance by.

    References:
        Fu et al., 2019, https://arxiv.org/abs/1903.10145
    """

    name: Literal["cyclical"] = "cyclical"
    cycles: Annotated[int, Field(ge=1, le=1000)] = 4
    """Parts of the run."""
    rise: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of a part in which it rises."""

    def factor(self, step: int, steps: int) -> float:
        within = (step * self.cycles / steps) % 1.0
        return min(1.0, within / self.rise)

    def unreached(self, steps: int) -> Mapping[str, str]:
        # The first step of a part is at 0.
        if steps >= 2 * self.cycles:
            return {}
        return {"cycles": f"a part has {steps / self.cycles:.3g} steps, and none to rise in"}
