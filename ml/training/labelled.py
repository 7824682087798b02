"""Which labelled images a batch has, and their labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ml.datasets.dataset import Dataset
from ml.objectives.protocol import Labels
from ml.reproducibility.draws import Stream, generator
from ml.training.unmet_needs import UnmetNeeds, varying_factors


class LabelledImages:
    """The labelled batch of each step.

    A run's labelled images are drawn once, by its seed, among the images whose factors are all
    known. Each batch is drawn from them with replacement.

    Raises:
        UnmetNeeds: fewer images have known factors than are to have labels.
    """

    def __init__(self, labels: Labels, data: Dataset, *, seed: int, batch: int) -> None:
        known, weights = data.labelled(), data.weights
        if weights is not None:
            known = known[weights[known] > 0]
        if len(known) < labels.images:
            raise UnmetNeeds(
                data.name, f"{labels.images} images whose factors are known, not {len(known)}"
            )
        draws = generator(seed, "labelled images")
        if weights is None:
            self.images = known[draws.permutation(len(known))[: labels.images]]
        else:
            shares = weights[known] / weights[known].sum()
            self.images = draws.choice(known, size=labels.images, replace=False, p=shares)
        names = labels.factors or tuple(varying_factors(data))
        self._labels = _from_0_to_1(data, self.images, names)
        self._places = Stream(
            seed, "labelled batch", lambda draws: draws.integers(0, labels.images, size=batch)
        )
        self._step, self._drawn = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> Int64[np.ndarray, "batch"]:
        """Indices into the data set."""
        found: np.ndarray = self.images[self._at(step)]
        return found

    def labels(self, step: int) -> Float32[np.ndarray, "batch factors"]:
        """The labels of these images, in [0, 1]."""
        found: np.ndarray = self._labels[self._at(step)]
        return found

    def _at(self, step: int) -> Int64[np.ndarray, "batch"]:
        if step != self._step:
            self._step, self._drawn = step, self._places.at(step)
        return self._drawn


def _from_0_to_1(
    data: Dataset, images: Int64[np.ndarray, "images"], names: tuple[str, ...]
) -> Float32[np.ndarray, "images factors"]:
    """Values in [0, 1]; see `Step.labels`."""
    found = data.factors(images)
    assert found is not None
    scaled = np.empty((len(images), len(names)), dtype=np.float32)
    for column, name in enumerate(names):
        k = data.factor_names.index(name)
        low, span = 0.0, float(data.factor_sizes[k])
        if data.factor_kinds[k] == "continuous":
            assert isinstance(data.labels, np.ndarray)
            every: Float64[np.ndarray, "n"] = data.labels[:, k]
            low = float(np.nanmin(every))
            span = float(np.nanmax(every)) - low
        scaled[:, column] = (found[:, k] - low) / span
    return scaled
