"""The inputs of each training step, for every run: images, draws, coefficients, step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ml.datasets.dataset import Dataset
from ml.datasets.resident import ResidentImages
from ml.objectives.protocol import Update
from ml.reproducibility.draws import Stream
from ml.spec.run_spec import RunSpec
from ml.training.sampling import indices


@dataclass(frozen=True)
class Inputs:
    """The inputs of one step of every place. The first axis of each tensor is the places."""

    images: tuple[Tensor, ...]
    """Independent batches, each (places, batch, channels, height, width) in [0, 1]."""
    draws: dict[str, Tensor]
    """The objective's named draws, (places, ...)."""
    coefficients: dict[str, Tensor]
    """The objective's coefficients by name, each (places,)."""
    done: Tensor
    """Steps that each place has made, (places,)."""
    scalars: dict[str, dict[str, Tensor]]
    """By group, the optimizer's numbers by name, each (places, 1)."""


class Feed:
    """Makes the inputs of training steps.

    A run's inputs depend on its own seed, numbers and step, and not on its neighbours. Places may
    be at different steps.
    """

    def __init__(
        self,
        places: Sequence[RunSpec],
        updates: Sequence[Update],
        data: Dataset,
        device: torch.device,
    ) -> None:
        self._device, self._images = device, ResidentImages(data, device)
        self._groups = [update.group for update in updates]
        self._places = [_Place(spec, updates, data) for spec in places]
        self._needs = places[0].objective.needs()

    def at(self, steps: Sequence[int], moving: Sequence[int]) -> Inputs:
        """The inputs of each place at its step.

        Places that do not move get the inputs of the first place that moves: finite numbers that
        cost nothing to draw.
        """
        chosen = [place if place in moving else moving[0] for place in range(len(steps))]

        def every(of: Callable[[_Place, int], np.ndarray]) -> np.ndarray:
            found = {place: of(self._places[place], steps[place]) for place in moving}
            return np.stack([found[place] for place in chosen])

        def numbers(of: Callable[[_Place, int], Mapping[str, float]]) -> dict[str, Tensor]:
            found = {place: of(self._places[place], steps[place]) for place in moving}
            names = list(found[moving[0]])
            table = np.array(
                [[found[place][name] for place in chosen] for name in names], dtype=np.float32
            )
            rows = torch.from_numpy(table).to(self._device, copy=True)
            return dict(zip(names, rows.reshape(len(names), len(chosen)), strict=True))

        images = []
        for number in range(self._needs.batches):
            index = every(partial(_Place.indices, number=number))
            batch = self._images.gather(index.reshape(-1))
            images.append(batch.reshape(*index.shape, *batch.shape[1:]))
        draws = {
            name: torch.from_numpy(every(partial(_Place.draw, name=name))).to(
                self._device, copy=True
            )
            for name in self._needs.draws
        }
        scalars = {
            group: {
                name: values.unsqueeze(1)
                for name, values in numbers(partial(_Place.scalars, group=group)).items()
            }
            for group in self._groups
        }
        [done] = numbers(lambda _, step: {"done": step}).values()
        return Inputs(tuple(images), draws, numbers(_Place.coefficients), done, scalars)


class _Place:
    """One run's streams and numbers."""

    def __init__(self, spec: RunSpec, updates: Sequence[Update], data: Dataset) -> None:
        self._spec, training, latents = spec, spec.training, spec.model.latent_dim
        needs = spec.objective.needs()
        self._indices = [
            indices(
                training.sampling,
                seed=spec.seed,
                number=number,
                images=len(data),
                batch=training.batch_size,
            )
            for number in range(needs.batches)
        ]
        self._draws = {
            name: Stream(
                spec.seed,
                f"draw {name}",
                partial(draw.sample, batch=training.batch_size, latents=latents),
            )
            for name, draw in needs.draws.items()
        }
        self._weights = spec.objective.coefficients(
            pixels=math.prod(data.image_shape), latents=latents
        )
        self._optimizers = {update.group: spec.optimizer_of(update.group) for update in updates}

    def indices(self, step: int, *, number: int) -> np.ndarray:
        return self._indices[number].at(step)

    def draw(self, step: int, *, name: str) -> np.ndarray:
        return self._draws[name].at(step)

    def coefficients(self, step: int) -> dict[str, float]:
        training = self._spec.training
        found = dict(self._weights)
        for name, schedule in training.coefficients.items():
            found[name] *= schedule.factor(step, training.steps)
        return found

    def scalars(self, step: int, *, group: str) -> dict[str, float]:
        training = self._spec.training
        factor = training.schedule.factor(step, training.steps)
        return self._optimizers[group].scalars(step=step, factor=factor)
