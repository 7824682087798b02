"""Rises that begin again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class Cyclical(Schedule):
    """A straight rise from 0 to 1, then 1, in each of `cycles` equal parts of the run.

    It suits the weight of a KL: each time the weight is low, latents that have switched off may
    come into use again.

    References:
        Fu et al., 2019, https://arxiv.org/abs/1903.10145
    """

    name: Literal["cyclical"] = "cyclical"
    cycles: Annotated[int, Field(ge=1, le=1000)] = 4
    """Number of equal parts of the run."""
    rise: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of each part in which the factor rises."""

    def factor(self, step: int, steps: int) -> float:
        within = (step * self.cycles / steps) % 1.0
        return min(1.0, within / self.rise)

    def unreached(self, steps: int) -> Mapping[str, str]:
        # The factor is 0 at the first step of a part, so a rise takes two steps at least.
        if steps >= 2 * self.cycles:
            return {}
        return {"cycles": f"a part has {steps / self.cycles:.3g} steps, and none to rise in"}
