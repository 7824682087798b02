"""Optimizers as functions of parameters, gradients and a state, for all runs of a cohort at once.

torch.optim keeps its state in objects of its own and has one learning rate for all parameters. Here
the state is a few tensors, which a checkpoint stores as they are, and every run has its own
numbers.
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
    """Names of its state's tensors, which have the parameters' shape and begin as zeros."""

    learning_rate: Annotated[float, Field(gt=0, le=100)] = 1e-4
    """Step size, before the schedule's factor."""

    @abstractmethod
    def scalars(self, *, step: int, factor: float) -> dict[str, float]:
        """The numbers of one step of one run, by names that the optimizer chooses.

        They are computed in double precision, in which 1 - 0.999^t keeps its digits. `step` counts
        from 0, and `factor` is the schedule's.
        """

    @abstractmethod
    def update(
        self,
        parameters: Tensor,
        gradients: Tensor,
        state: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
    ) -> None:
        """Update parameters and state in place. Gradients may be overwritten.

        Parameters, gradients and each tensor of the state are (places, numbers), with a row for
        each run. `scalars` are the runs' own, (places, 1). The component it is called on has no
        numbers (`Component.without_numbers`), so all numbers come from `scalars`.
        """
