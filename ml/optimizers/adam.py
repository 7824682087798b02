"""Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ml.components.registry import register
from ml.optimizers._adaptive_moments import AdaptiveMoments


@register
class Adam(AdaptiveMoments):
    r"""Adam: steps scaled by running moments of the gradient.

    .. math:: p \leftarrow p - \eta \, \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    `weight_decay` adds that multiple of the parameter to its gradient (L2, not decoupled),
    as torch.optim.Adam does.

    References:
        Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980
    """

    name: Literal["adam"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.0
    """L2 penalty."""

    def scalars(self, *, step: int, factor: float) -> dict[str, float]:
        return {**super().scalars(step=step, factor=factor), "weight_decay": self.weight_decay}

    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        decay = scalars["weight_decay"]
        # Only a CPU knows at no cost that there is nothing to add.
        if decay.device.type != "cpu" or bool(decay.any()):
            gradients.addcmul_(parameters, decay)
        super().update(parameters, gradients, state, scalars)
