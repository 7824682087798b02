"""Adam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ml.optimizer import Optimizer
from ml.registry import register

Decay = Annotated[float, Field(ge=0, lt=1)]


@register
class Adam(Optimizer):
    r"""Adam: steps scaled by running moments of the gradient.

    .. math:: p \leftarrow p - \eta \, \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    `weight_decay` adds that multiple of the parameter to its gradient (L2, not decoupled),
    as torch.optim.Adam does.

    References:
        Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980
    """

    name: Literal["adam"] = "adam"
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the first and of the second moment, a step."""
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """Added to the root of the second moment."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Multiple of the parameter added to its gradient."""

    def init(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            f"{moment}/{name}": torch.zeros_like(parameter)
            for name, parameter in parameters.items()
            for moment in ("first", "second")
        }

    @torch.no_grad()
    def update(
        self,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        *,
        step: int,
        factor: float,
    ) -> None:
        beta1, beta2 = self.betas
        bias1 = 1 - beta1 ** (step + 1)
        bias2 = math.sqrt(1 - beta2 ** (step + 1))
        for name, parameter in parameters.items():
            gradient = gradients[name]
            if self.weight_decay:
                gradient = gradient.add(parameter, alpha=self.weight_decay)
            first, second = state[f"first/{name}"], state[f"second/{name}"]
            # m = b1 m + (1 - b1) g ; v = b2 v + (1 - b2) g^2
            first.lerp_(gradient, 1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            # p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
            denominator = (second.sqrt() / bias2).add_(self.eps)
            parameter.addcdiv_(first, denominator, value=-self.learning_rate * factor / bias1)
