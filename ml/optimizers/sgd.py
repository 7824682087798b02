"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from ml.components.registry import register
from ml.optimizers.protocol import Optimizer


@register
class SGD(Optimizer):
    r"""Stochastic gradient descent, with optional momentum.

    .. math:: u \leftarrow \mu u + g, \qquad p \leftarrow p - \eta \, u

    With `nesterov` the parameter becomes p - eta (g + mu u). `weight_decay` adds that multiple of
    the parameter to its gradient. This is torch.optim.SGD without dampening.

    References:
        Sutskever et al., 2013, https://proceedings.mlr.press/v28/sutskever13.html
    """

    name: Literal["sgd"] = "sgd"
    slots: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last step that the next keeps."""
    nesterov: bool = False
    """Look ahead along the velocity."""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.0
    """L2 penalty."""

    def scalars(self, *, step: int, factor: float) -> dict[str, float]:  # noqa: ARG002
        return {
            "rate": self.learning_rate * factor,
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
        velocity = state["velocity"].mul_(scalars["momentum"]).add_(gradients)
        step = gradients.addcmul_(velocity, scalars["momentum"]) if self.nesterov else velocity
        parameters.sub_(step * scalars["rate"])
