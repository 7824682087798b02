"""Steps scaled by running moments of the gradient, which Adam and AdamW share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.optim.adam import adam

from ml.optimizers.protocol import Optimizer

Decay = Annotated[float, Field(ge=0, lt=1)]


class AdaptiveMoments(Optimizer):
    """Adam without weight decay."""

    slots: ClassVar[tuple[str, ...]] = ("first", "second")
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the first and of the second moment at each step."""
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """A constant added to the root of the second moment."""

    def scalars(self, *, step: int, factor: float) -> dict[str, float]:
        beta1, beta2 = self.betas
        return {
            "fresh1": 1 - beta1,
            "fresh2": 1 - beta2,
            # lr / (1 - b1^t) and 1 / sqrt(1 - b2^t), t from 1.
            "rate": self.learning_rate * factor / (1 - beta1 ** (step + 1)),
            "scale": 1 / math.sqrt(1 - beta2 ** (step + 1)),
            "eps": self.eps,
        }

    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        rows = (parameters, gradients, state["first"], state["second"])
        (_on_a_cpu if parameters.device.type == "cpu" else by_formula)(*rows, scalars)


def by_formula(
    parameters: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
    scalars: Mapping[str, Tensor],
) -> None:
    """All runs at once, with an operation of torch for each of the formula's."""
    # m = b1 m + (1 - b1) g ; v = b2 v + (1 - b2) g^2
    first.lerp_(gradients, scalars["fresh1"])
    second.lerp_(gradients.square_(), scalars["fresh2"])
    # p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
    denominator = second.sqrt().mul_(scalars["scale"]).add_(scalars["eps"])
    parameters.sub_((first * scalars["rate"]).div_(denominator))


def _on_a_cpu(
    parameters: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
    scalars: Mapping[str, Tensor],
) -> None:
    """One run after the other, by torch's kernel, which reads and writes every number once."""
    numbers = {name: values.flatten().tolist() for name, values in scalars.items()}
    for run, scale in enumerate(numbers["scale"]):
        adam(
            [parameters[run]],
            [gradients[run]],
            [first[run]],
            [second[run]],
            [],
            # After so many steps the kernel's own corrections are 1. They would be computed from
            # rounded betas. Ours are in the rate and in eps:
            # rate m / (sqrt(v) scale + eps) = rate / scale m / (sqrt(v) + eps / scale)
            [torch.tensor(1e30)],
            lr=numbers["rate"][run] / scale,
            eps=numbers["eps"][run] / scale,
            beta1=1 - numbers["fresh1"][run],
            beta2=1 - numbers["fresh2"][run],
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )
