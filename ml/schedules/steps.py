"""Falls at given steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ml.components.registry import register
from ml.schedules.protocol import Schedule

At = Annotated[int, Field(ge=1, le=10_000_000)]


@register
class Steps(Schedule):
    """A fall by the factor `by` at each step listed in `at`, as in "divide by ten at 100,000"."""

    stretched: ClassVar[bool] = False
    name: Literal["steps"] = "steps"
    at: Annotated[tuple[At, ...], Field(max_length=100)] = (100_000,)
    """Steps at which the factor changes."""
    by: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The number that the factor is multiplied by each time."""

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return self.by ** sum(step >= change for change in self.at)

    def unreached(self, steps: int) -> Mapping[str, str]:
        late = [change for change in self.at if change >= steps]
        if not late:
            return {}
        listed = " and ".join(f"{change:,}" for change in late)
        return {"at": f"it ends before the factor falls at {listed}"}
