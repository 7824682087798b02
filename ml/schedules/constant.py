"""The constant schedule."""

from __future__ import annotations

from typing import Literal

from ml.registry import register
from ml.schedule import Schedule


@register
class Constant(Schedule):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        return 1.0
