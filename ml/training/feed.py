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
from ml.training.corruption import Corruption, corrupted
from ml.training.labelled import LabelledImages
from ml.training.pairs import PairIndices, PairTable
from ml.training.sampling import indices
from ml.training.unmet_needs import check_needs


@dataclass(frozen=True)
class Inputs:
    """The inputs of one step of every place. The first axis of each tensor is the places."""

    images: tuple[Tensor, ...]
    """Batches as in `Step.images`, each (places, batch, channels, height, width) in [0, 1]."""
    seen: tuple[Tensor, ...]
    """What the encoder sees of them: the same tensors if the data set's params corrupt nothing."""
    supervision: dict[str, Tensor]
    """`Step.changed` and `Step.labels` by name, (places, batch, factors), if they are needed."""
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
        self._needs, self._dataset = places[0].objective.needs(), places[0].dataset
        for spec in places:
            check_needs(spec.objective.needs(), data, spec.model.latent_dim)
        pairs = None if self._needs.pairs is None else PairTable(data)
        self._places = [_Place(spec, updates, data, pairs) for spec in places]

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

        def tensor(of: Callable[[_Place, int], np.ndarray]) -> Tensor:
            return torch.from_numpy(every(of)).to(self._device, copy=True)

        images, seen = [], []
        for number in range(self._needs.all_batches):
            index = every(partial(_Place.indices, number=number))
            batch = self._images.gather(index.reshape(-1))
            images.append(batch.reshape(*index.shape, *batch.shape[1:]))
            noise = partial(tensor, partial(_Place.noise, number=number))
            corners = partial(tensor, partial(_Place.corners, number=number))
            seen.append(corrupted(images[-1], self._dataset, noise, corners))
        supervision = {}
        if self._needs.pairs is not None:
            supervision["changed"] = tensor(_Place.changed)
        if self._needs.labels is not None:
            supervision["labels"] = tensor(_Place.labels)
        draws = {name: tensor(partial(_Place.draw, name=name)) for name in self._needs.draws}
        scalars = {
            group: {
                name: values.unsqueeze(1)
                for name, values in numbers(partial(_Place.scalars, group=group)).items()
            }
            for group in self._groups
        }
        [done] = numbers(lambda _, step: {"done": step}).values()
        return Inputs(
            tuple(images),
            tuple(seen),
            supervision,
            draws,
            numbers(_Place.coefficients),
            done,
            scalars,
        )


class _Place:
    """One run's streams and numbers."""

    def __init__(
        self, spec: RunSpec, updates: Sequence[Update], data: Dataset, pairs: PairTable | None
    ) -> None:
        self._spec, training, latents = spec, spec.training, spec.model.latent_dim
        needs, batch = spec.objective.needs(), training.batch_size
        self._indices = [
            indices(
                training.sampling,
                seed=spec.seed,
                number=number,
                images=len(data),
                batch=batch,
                weights=data.weights,
            ).at
            for number in range(needs.batches)
        ]
        if pairs is not None and needs.pairs is not None:
            drawn = PairIndices(
                pairs, needs.pairs, seed=spec.seed, sampling=training.sampling, batch=batch
            )
            self._pairs = drawn
            self._indices[0] = lambda step: drawn.at(step).first
            self._indices.append(lambda step: drawn.at(step).second)
        if needs.labels is not None:
            self._labelled = LabelledImages(needs.labels, data, seed=spec.seed, batch=batch)
            self._indices.append(self._labelled.indices)
        self._corruptions = [
            Corruption(
                spec.dataset, data.image_shape, seed=spec.seed, batch_number=number, batch=batch
            )
            for number in range(needs.all_batches)
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
        return self._indices[number](step)

    def changed(self, step: int) -> np.ndarray:
        return self._pairs.at(step).changed

    def labels(self, step: int) -> np.ndarray:
        return self._labelled.labels(step)

    def noise(self, step: int, *, number: int) -> np.ndarray:
        return self._corruptions[number].noise(step)

    def corners(self, step: int, *, number: int) -> np.ndarray:
        return self._corruptions[number].corners(step)

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
