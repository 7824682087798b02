"""Everything that training changes, for each run of a cohort, and how checkpoints keep it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ml.networks.memory_layout import channels_last
from ml.networks.networks import Parameters, groups_of, initial_parameters
from ml.networks.row_layout import RowLayout
from ml.objectives.protocol import Update
from ml.recorder import Checkpoint
from ml.reproducibility.environment import environment
from ml.spec.identity import FORMAT, course_id, train_id
from ml.spec.run_spec import RunSpec

logger = logging.getLogger(__name__)


class ForeignCheckpoint(ValueError):
    """The checkpoint belongs to a run of another identity."""


class OriginNotKept(ValueError):
    """The run that this one is to go on from has no checkpoint of its end."""

    advice = "train the run that its origin describes again (force=true), then fork that one"

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(
            f"expected a checkpoint of the run that differs by {spec.origin}, from whose end this"
            " one goes on, got none that this version can use"
        )


def usable(checkpoint: Checkpoint | None, spec: RunSpec) -> Checkpoint | None:
    """The checkpoint if the run can go on from it exactly; None if the run begins anew.

    The checkpoint must be the run's own, or of a shorter run of the same course
    (`ml.spec.identity.course_id`), or the end of the run that is its origin. A checkpoint of
    another format (`ml.spec.identity.FORMAT`) is not used.

    Raises:
        ForeignCheckpoint: the checkpoint belongs to another run.
        OriginNotKept: the run goes on from another's end, and that has no checkpoint to use.
    """
    if checkpoint is not None and checkpoint.document.get("format") != FORMAT:
        logger.warning("a checkpoint at step %d is of another format", checkpoint.step)
        checkpoint = None
    if checkpoint is None:
        if spec.origin is not None:
            raise OriginNotKept(spec)
        return None
    if not leads_to(checkpoint, spec):
        raise ForeignCheckpoint(
            f"the checkpoint at step {checkpoint.step} belongs to"
            f" {checkpoint.document['train_id']}, this run is {train_id(spec)}"
        )
    return checkpoint


def leads_to(checkpoint: Checkpoint, spec: RunSpec) -> bool:
    """Whether a run can go on from a checkpoint of this format."""
    document, origin = checkpoint.document, spec.origin_spec()
    if document["train_id"] == train_id(spec):
        return True
    if document.get("course_id") is not None and document["course_id"] == course_id(spec):
        return checkpoint.step <= spec.training.steps
    return (
        origin is not None
        and document["train_id"] == train_id(origin)
        and checkpoint.step == origin.training.steps
    )


@dataclass
class Group:
    """Parameters that are updated together, with a row for each place of the cohort."""

    layout: RowLayout
    parameters: Tensor
    """The parameters, (places, numbers)."""
    moments: dict[str, Tensor]
    """The optimizer's state by slot, each (places, numbers)."""

    def matrices(self) -> dict[str, Tensor]:
        """Parameters and optimizer state by the names that checkpoints give them."""
        return {"parameters": self.parameters, **self.moments}


class TrainingState:
    """Parameters, optimizer state, steps done and history of every place of a cohort.

    A place is one row of every tensor. No row affects another.
    """

    def __init__(
        self,
        places: Sequence[RunSpec],
        modules: Mapping[str, nn.Module],
        updates: Sequence[Update],
        device: torch.device,
    ) -> None:
        """Make the state before the first step. Each place is drawn from its own seed."""
        precision = places[0].training.precision
        moved = {update.group for update in updates}
        self.steps = [0] * len(places)
        self.histories: list[list[dict[str, Any]]] = [[] for _ in places]
        """For each place, the environment of each stretch of training and the step it began at."""
        self.groups: dict[str, Group] = {}
        for group, networks in groups_of(modules).items():
            shapes = {
                f"{network}/{name}": parameter.shape
                for network in networks
                for name, parameter in modules[network].named_parameters()
            }
            layout = RowLayout(shapes, channels_last=channels_last(device, precision))
            rows = torch.zeros(len(places), layout.length, device=device)
            slots = places[0].optimizer_of(group).slots if group in moved else ()
            self.groups[group] = Group(
                layout, rows, {slot: torch.zeros_like(rows) for slot in slots}
            )
        for place, spec in enumerate(places):
            drawn = {
                f"{network}/{name}": tensor
                for network, named in initial_parameters(modules, spec.seed).items()
                for name, tensor in named.items()
            }
            for found in self.groups.values():
                found.parameters[place] = found.layout.pack(drawn).to(device)

    def parameters(self) -> Parameters:
        """Every network's parameters, (places, *shape)."""
        return _by_network(
            named
            for group in self.groups.values()
            for named in group.layout.unpack(group.parameters).items()
        )

    def parameters_of(self, place: int) -> Parameters:
        """A copy of one place's parameters."""
        return {
            network: {
                name: tensor[place].clone(memory_format=torch.contiguous_format)
                for name, tensor in named.items()
            }
            for network, named in self.parameters().items()
        }

    def note_environment(self, place: int, device: torch.device) -> None:
        """Record the environment in which a place goes on, if it differs from the last one."""
        here = {**environment(device), "width": len(self.steps), "place": place}
        history = self.histories[place]
        last = history[-1] if history else {}
        if {**last, **here} != last:
            history.append({**here, "from_step": self.steps[place]})

    def not_finite(self, place: int) -> list[str]:
        """Names of the matrices with a number of this place that is NaN or infinite.

        They are parameters or the optimizer's slots, as in `model parameters`.
        """
        return [
            f"{group} {kind}"
            for group, found in self.groups.items()
            for kind, matrix in found.matrices().items()
            if not bool(matrix[place].isfinite().all())
        ]

    def to_checkpoint(self, place: int, spec: RunSpec) -> Checkpoint:
        """One place as a checkpoint."""
        tensors = {
            f"{group}/{kind}/{name}": tensor[place]
            for group, found in self.groups.items()
            for kind, matrix in found.matrices().items()
            for name, tensor in found.layout.unpack(matrix).items()
        }
        document = {
            "format": FORMAT,
            "train_id": train_id(spec),
            "course_id": course_id(spec),
            "step": self.steps[place],
            "history": self.histories[place],
            "width": len(self.steps),
            "place": place,
        }
        return Checkpoint(self.steps[place], tensors, document)

    def restore(self, place: int, checkpoint: Checkpoint) -> None:
        """Put the state of a checkpoint into a place."""
        for group, found in self.groups.items():
            for kind, matrix in found.matrices().items():
                prefix = f"{group}/{kind}/"
                saved = {
                    path.removeprefix(prefix): tensor
                    for path, tensor in checkpoint.tensors.items()
                    if path.startswith(prefix)
                }
                matrix[place] = found.layout.pack(saved).to(matrix.device)
        self.steps[place] = checkpoint.step
        self.histories[place] = [dict(stretch) for stretch in checkpoint.document["history"]]


def _by_network(named: Iterable[tuple[str, Tensor]]) -> Parameters:
    parameters: Parameters = {}
    for path, tensor in named:
        network, _, name = path.partition("/")
        parameters.setdefault(network, {})[name] = tensor
    return parameters
