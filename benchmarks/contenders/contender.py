"""What each way of training the same network has in common, and how its process is asked."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

LATENTS, BETA, LEARNING_RATE = 10, 4.0, 1e-4


@dataclass(frozen=True)
class Task:
    """What is measured. It is the same for every way."""

    #: A folder with `images.npy`, uint8 (images, 64, 64), and what `Replay` writes.
    folder: str
    batch: int
    threads: int
    precision: Literal["float32", "bfloat16"]
    #: Steps of a round that are not timed, and those that are.
    warm: int
    steps: int

    @property
    def images(self) -> int:
        """Images of a round, which is one epoch."""
        return (self.warm + self.steps) * self.batch

    def read(self) -> Tensor:
        """The images as float32 in [0, 1], (images, 1, 64, 64), all in memory."""
        stored = np.load(Path(self.folder, "images.npy"))
        return torch.from_numpy(stored).float().unsqueeze(1)


class Found(NamedTuple):
    """Seconds of the timed steps of a round."""

    wall: float
    cpu: float


class Clock:
    """Counts steps, and marks the time after the last warm one and after the last."""

    def __init__(self, task: Task) -> None:
        self._marks = {task.warm: (0.0, 0.0), task.warm + task.steps: (0.0, 0.0)}
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        if self._steps in self._marks:
            self._marks[self._steps] = time.perf_counter(), time.process_time()

    def found(self) -> Found:
        (wall, cpu), (wall_after, cpu_after) = self._marks.values()
        return Found(wall_after - wall, cpu_after - cpu)


class Losses(NamedTuple):
    """The losses of the first steps, and the norm of the first gradient."""

    losses: list[float]
    gradient_norm: float


class Replay:
    """Weights, batches and noise of the first steps of Heddle's training, for the others."""

    def __init__(self, folder: str) -> None:
        with np.load(Path(folder, "replay.npz")) as arrays:
            self._arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}

    def load(self, network: nn.Module, name: Literal["encoder", "decoder"]) -> None:
        """Give a network its weights. They are in the order of its parameters."""
        weights = [value for key, value in self._arrays.items() if key.startswith(f"{name}/")]
        with torch.no_grad():
            for parameter, weight in zip(network.parameters(), weights, strict=True):
                parameter.copy_(weight)

    def losses(self, model: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor]) -> Losses:
        """Train the steps with torch's Adam. `loss_of` takes images and noise."""
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        losses, norms = [], []
        for images, noise in zip(self._arrays["images"], self._arrays["noise"], strict=True):
            optimizer.zero_grad()
            loss = loss_of(images, noise)
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
            norms.append(float(torch.linalg.vector_norm(torch.cat(gradients))))
            losses.append(loss.item())
            optimizer.step()
        return Losses(losses, norms[0])


class Contender(Protocol):
    """A way of training the network."""

    def replay(self) -> Losses | None:
        """The losses of the first steps. None where the contender trains nothing."""
        ...

    def round(self) -> Found:
        """Make the steps of a round."""
        ...


def serve(contenders: Mapping[str, Callable[[Task], Contender]]) -> None:
    """Answer the lines of the standard input, each with a line of JSON.

    The arguments are a contender's name and its task. Nothing else is written to the standard
    output, whatever a library prints.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, given = sys.argv[1:]
    task = Task(**json.loads(given))
    torch.set_num_threads(task.threads)
    contender = contenders[name](task)
    asked: dict[str, Callable[[], Any]] = {"replay": contender.replay, "round": contender.round}
    for line in sys.stdin:
        print(json.dumps(asked[line.strip()]()), file=answers, flush=True)


def as_argument(task: Task) -> str:
    assert {field.name for field in fields(task)} == set(asdict(task))
    return json.dumps(asdict(task))
