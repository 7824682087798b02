"""Optimizers as functions of parameters, gradients and a state of named tensors.

torch.optim keeps its state in objects of its own; here it is a dictionary of tensors, which a
checkpoint stores as it is and a cohort can stack.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from ml.component import Component


class Optimizer(Component):
    """One rule by which gradients move parameters."""

    kind: ClassVar[str] = "optimizer"

    learning_rate: Annotated[float, Field(gt=0, le=100)] = 1e-4
    """Step size, before the schedule's factor."""

    @abstractmethod
    def init(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state before the first step."""

    @abstractmethod
    def update(
        self,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        *,
        step: int,
        factor: float,
    ) -> None:
        """Move parameters and state in place. `step` counts from 0; `factor` is the schedule's."""
