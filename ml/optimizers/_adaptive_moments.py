"""Steps scaled by running moments of the gradient, which Adam and AdamW share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

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
        first, second = state["first"], state["second"]
        # m = b1 m + (1 - b1) g ; v = b2 v + (1 - b2) g^2
        first.lerp_(gradients, scalars["fresh1"])
        second.lerp_(gradients.square_(), scalars["fresh2"])
        # p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
        denominator = second.sqrt().mul_(scalars["scale"]).add_(scalars["eps"])
        parameters.sub_((first * scalars["rate"]).div_(denominator))
