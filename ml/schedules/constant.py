"""The constant schedule."""

from __future__ import annotations

from typing import ClassVar, Literal

from ml.components.registry import register
from ml.schedules.protocol import Schedule


@register
class Constant(Schedule):
    """The factor is always 1."""

    stretched: ClassVar[bool] = False
    name: Literal["constant"] = "constant"

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return 1.0
