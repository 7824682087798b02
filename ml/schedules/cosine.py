"""Half a cosine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class Cosine(Schedule):
    r"""A fall from 1 to `end` along half a cosine, after an optional straight rise.

    .. math:: e + \frac{1 - e}{2} (1 + \cos \pi t), \qquad t \text{ from 0 after the rise to 1 at
    the
        end}

    References:
        Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983
    """

    name: Literal["cosine"] = "cosine"
    warm_up: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Steps of a straight rise from 0 before the cosine."""
    end: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The factor at the end."""

    def factor(self, step: int, steps: int) -> float:
        if step < self.warm_up:
            return step / self.warm_up
        passed = (step - self.warm_up) / max(1, steps - self.warm_up)
        return self.end + 0.5 * (1 - self.end) * (1 + math.cos(math.pi * passed))

    def unreached(self, steps: int) -> Mapping[str, str]:
        if self.warm_up < steps:
            return {}
        reached = self.factor(steps - 1, steps)
        return {"warm_up": f"it rises to {reached:.3g} and never comes to its cosine"}
