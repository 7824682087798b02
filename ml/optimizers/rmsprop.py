"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from ml.components.registry import register
from ml.optimizers.protocol import Optimizer


@register
class RMSprop(Optimizer):
    r"""RMSprop: steps scaled by the running root mean square of the gradient.

    .. math:: v \leftarrow \alpha v + (1 - \alpha) g^2, \quad
        u \leftarrow \mu u + \frac{g}{\sqrt v + \epsilon}, \quad p \leftarrow p - \eta \, u

    This is torch.optim.RMSprop, not centred.

    References:
        Tieleman and Hinton, 2012, Neural Networks for Machine Learning, lecture 6.5
    """

    name: Literal["rmsprop"] = "rmsprop"
    slots: ClassVar[tuple[str, ...]] = ("second", "velocity")
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the mean square at each step."""
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """A constant added to the root of the mean square."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last step that the next keeps."""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.0
    """L2 penalty."""

    def scalars(self, *, step: int, factor: float) -> dict[str, float]:  # noqa: ARG002
        return {
            "rate": self.learning_rate * factor,
            "fresh": 1 - self.alpha,
            "eps": self.eps,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
        }

    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        gradients.addcmul_(parameters, scalars["weight_decay"])
        second = state["second"].lerp_(gradients.square(), scalars["fresh"])
        step = gradients.div_(second.sqrt().add_(scalars["eps"]))
        velocity = state["velocity"].mul_(scalars["momentum"]).add_(step)
        parameters.sub_(velocity * scalars["rate"])
