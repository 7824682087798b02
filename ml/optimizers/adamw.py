"""AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ml.components.registry import register
from ml.optimizers._adaptive_moments import AdaptiveMoments


@register
class AdamW(AdaptiveMoments):
    r"""Adam with weight decay that does not pass through the moments.

    .. math:: p \leftarrow (1 - \eta \lambda) \, p - \eta \, \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    References:
        Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101
    """

    name: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.01
    """Share of each parameter that a step removes, in units of the learning rate."""

    def scalars(self, *, step: int, factor: float) -> dict[str, float]:
        kept = 1 - self.learning_rate * factor * self.weight_decay
        return {**super().scalars(step=step, factor=factor), "kept": kept}

    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        parameters.mul_(scalars["kept"])
        super().update(parameters, gradients, state, scalars)
