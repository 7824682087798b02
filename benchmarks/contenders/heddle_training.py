"""The `burgess` beta-VAE as Heddle trains it: `ml.train`, in one process.

`python -m benchmarks.contenders.heddle_training NAME TASK`, as `benchmarks.peers` starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contenders.contender import (
    BETA,
    LATENTS,
    LEARNING_RATE,
    Clock,
    Found,
    Losses,
    Task,
    serve,
)
from ml import dataset, train
from ml.datasets.dataset import Dataset
from ml.networks.networks import build, initial_parameters
from ml.objectives.protocol import checked_updates
from ml.recorder import Progress, Silent, Wish
from ml.spec.run_spec import RunSpec
from ml.training.feed import Feed

REPLAYED = 3


class _Scalars(Silent):
    """Keeps what is recorded at each step."""

    def __init__(self) -> None:
        self.steps: list[Mapping[str, float]] = []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        assert step == len(self.steps) + 1
        self.steps.append(values)


class _Ticking(Silent):
    """Ticks a clock at each step."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def progress(self, progress: Progress) -> Wish:
        if progress.stage == "training":
            self._clock.step()
        return Wish.CONTINUE


class Heddle:
    def __init__(self, task: Task) -> None:
        self.task = task
        whole, index = dataset("dsprites"), np.load(Path(task.folder, "index.npy"))
        self.data: Dataset = replace(whole, chosen=index, labels=whole.factors(index))

    def spec(self, steps: int) -> RunSpec:
        document: dict[str, Any] = {
            "dataset": "dsprites",
            "model": {"name": "burgess", "latent_dim": LATENTS},
            "objective": {"name": "beta_vae", "beta": BETA},
            "training": {
                "steps": steps,
                "batch_size": self.task.batch,
                "precision": self.task.precision,
                "optimizer": {"name": "adam", "learning_rate": LEARNING_RATE},
            },
        }
        return RunSpec.parse(document)

    def replay(self) -> Losses:
        """Train a few steps, and write the weights, batches and noise that they start from."""
        spec, recorded = self.spec(REPLAYED), _Scalars()
        train(spec, recorded, data=self.data)
        weights = initial_parameters(build(spec, self.data.image_shape), spec.seed)
        updates = checked_updates(spec.objective.without_numbers())
        feed = Feed([spec], updates, self.data, torch.device("cpu"))
        inputs = [feed.at([step], [0]) for step in range(REPLAYED)]
        np.savez(
            Path(self.task.folder, "replay.npz"),
            images=np.stack([one.images[0][0].numpy() for one in inputs]),
            noise=np.stack([one.draws["noise"][0].numpy() for one in inputs]),
            **{
                f"{network}/{name}": value.numpy()
                for network, tensors in weights.items()
                for name, value in tensors.items()
            },
        )
        losses = [scalars["loss"] for scalars in recorded.steps]
        return Losses(losses, recorded.steps[0]["gradient_norm"])

    def round(self) -> Found:
        clock = Clock(self.task)
        train(self.spec(self.task.warm + self.task.steps), _Ticking(clock), data=self.data)
        return clock.found()


if __name__ == "__main__":
    serve({"heddle": Heddle})
