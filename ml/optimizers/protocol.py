"""Optimizers as functions of parameters, gradients and a state, for all runs of a cohort at once.

torch.optim keeps its state in objects of its own, and one learning rate for all; here the state is
a few tensors that a checkpoint stores as they are, and every run has numbers of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from ml.components.component import Component


class Optimizer(Component):
    """One rule by which gradients move parameters."""

    kind: ClassVar[str] = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()
    """Its state: names of tensors of the parameters' shape, which begin as zeros."""

    learning_rate: Annotated[float, Field(gt=0, le=100)] = 1e-4
    """Step size, before the schedule's factor."""

    @abstractmethod
    def scalars(self, *, step: int, factor: float) -> dict[str, float]:
        """The numbers of one step of one run, by names of the optimizer's own choice.

        Computed in double precision, where 1 - 0.999^t keeps its digits. `step` counts from 0;
        `factor` is the schedule's.
        """

    @abstractmethod
    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        """Move parameters and state in place; gradients may be overwritten.

        Parameters, gradients and each tensor of the state are (places, numbers), a row for each
        run; `scalars` are the runs' own, (places, 1). Called on a component without numbers
        (`Component.without_numbers`), so that all numbers come from `scalars`.
        """
