"""A linear rise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class WarmUp(Schedule):
    """A straight rise from `start` to 1 in the first `over` steps, then 1.

    It suits coefficients. The KL's weight, for example, grows from zero while the decoder learns to
    use its latents.
    """

    stretched: ClassVar[bool] = False
    name: Literal["warm_up"] = "warm_up"
    over: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Steps of the rise."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The factor at the first step."""

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return self.start + (1 - self.start) * min(1.0, step / self.over)

    def unreached(self, steps: int) -> Mapping[str, str]:
        if self.over <= steps:
            return {}
        return {"over": f"the factor only rises to {self.factor(steps - 1, steps):.3g}"}
