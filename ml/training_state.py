"""Everything that training changes, and its way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ml.environment import environment
from ml.identity import train_id
from ml.networks import Parameters, initial_parameters, networks_of, placed
from ml.objective import Update
from ml.optimizer import Optimizer
from ml.recorder import Checkpoint
from ml.spec import RunSpec


class ForeignCheckpoint(ValueError):
    """A checkpoint was written by a run of another identity."""


@dataclass
class TrainingState:
    """Parameters and optimizer state after `step` steps."""

    step: int
    parameters: Parameters
    moments: dict[str, dict[str, Tensor]]
    """Optimizer state, by group of parameters."""
    history: list[dict[str, Any]]
    """The environment of each stretch of training, with the step at which it began."""

    def group(self, group: str) -> dict[str, Tensor]:
        """The parameters of a group, named `network/parameter`.

        In the order of their names: a file may hand them back in any, and sums over
        them (the norm of a gradient) must not depend on that.
        """
        return {
            f"{network}/{name}": self.parameters[network][name]
            for network in networks_of(group)
            for name in sorted(self.parameters[network])
        }

    def note_environment(self, device: torch.device) -> None:
        """Write down where training goes on, when that is not where it was before."""
        here = environment(device)
        last = self.history[-1] if self.history else {}
        if {**last, **here} != last:
            self.history.append({**here, "from_step": self.step})


def optimizer_of(update: Update, spec: RunSpec) -> Optimizer:
    """The update's own optimizer, else the training spec's."""
    return update.optimizer or spec.training.optimizer


def initial_state(
    spec: RunSpec,
    modules: Mapping[str, nn.Module],
    updates: Sequence[Update],
    device: torch.device,
) -> TrainingState:
    """The state before the first step, drawn from the seed alone."""
    parameters = {
        network: {
            name: placed(tensor, device, spec.training.precision) for name, tensor in named.items()
        }
        for network, named in initial_parameters(modules, spec.seed).items()
    }
    state = TrainingState(0, parameters, {}, [])
    for update in updates:
        state.moments[update.group] = optimizer_of(update, spec).init(state.group(update.group))
    return state


def to_checkpoint(spec: RunSpec, state: TrainingState) -> Checkpoint:
    """The state as a checkpoint."""
    tensors = {
        f"parameters/{network}/{name}": tensor
        for network, named in state.parameters.items()
        for name, tensor in named.items()
    } | {
        f"moments/{group}/{name}": tensor
        for group, named in state.moments.items()
        for name, tensor in named.items()
    }
    document = {"train_id": train_id(spec), "step": state.step, "history": state.history}
    return Checkpoint(state.step, tensors, document)


def from_checkpoint(spec: RunSpec, checkpoint: Checkpoint, device: torch.device) -> TrainingState:
    """The state that a checkpoint holds.

    Raises:
        ForeignCheckpoint: it belongs to another run.
    """
    if checkpoint.document["train_id"] != train_id(spec):
        raise ForeignCheckpoint(
            f"the checkpoint at step {checkpoint.step} belongs to"
            f" {checkpoint.document['train_id']}, this run is {train_id(spec)}"
        )
    parameters: Parameters = {}
    moments: dict[str, dict[str, Tensor]] = {}
    homes = {"parameters": parameters, "moments": moments}
    for path, tensor in checkpoint.tensors.items():
        home, owner, name = path.split("/", 2)
        homes[home].setdefault(owner, {})[name] = placed(tensor, device, spec.training.precision)
    history = [dict(stretch) for stretch in checkpoint.document["history"]]
    return TrainingState(checkpoint.step, parameters, moments, history)
