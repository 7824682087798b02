"""Which images a batch has. This depends only on the seed and the step."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int

from ml.reproducibility.draws import Stream, generator
from ml.spec.choices import Sampling


class Indices(Protocol):
    """Indices of the images of each step."""

    def at(self, step: int) -> Int[np.ndarray, "batch"]:
        """Indices into the data set."""


class WeightedEpochs(ValueError):
    """An epoch has every image once, but the data set's images are to be drawn by weights."""

    advice = "set training.sampling to with_replacement"

    def __init__(self) -> None:
        super().__init__(
            "expected training.sampling with_replacement, as the data set's images are drawn by"
            " weights, but got epochs"
        )


def indices(
    sampling: Sampling,
    *,
    seed: int,
    number: int,
    images: int,
    batch: int,
    weights: Float64[np.ndarray, "images"] | None = None,
) -> Indices:
    """Indices of the `number`-th independent batch of every step.

    The data set has `images` images, and a batch has `batch` of them. They are drawn in proportion
    to `weights`, or all alike without them.

    Raises:
        WeightedEpochs: there are weights, but the sampling is in epochs.
    """
    if sampling == "epochs":
        if weights is not None:
            raise WeightedEpochs
        return Epochs(seed, f"epochs {number}", images, batch)
    draw = Drawing(images, weights)
    return Stream(seed, f"batch {number}", lambda draws: draw(draws, batch))


class Drawing:
    """Draws images independently, in proportion to their weights or all alike."""

    def __init__(self, images: int, weights: Float64[np.ndarray, "images"] | None = None) -> None:
        self._images = images
        self._sums = None if weights is None else np.cumsum(weights)

    def __call__(self, draws: np.random.Generator, count: int) -> Int[np.ndarray, "count"]:
        if self._sums is None:
            return draws.integers(0, self._images, size=count)
        total = self._sums[-1]
        # An image has the interval from the sum before it up to its own sum, which it does not
        # contain. The last image with a weight is the first whose sum is the total.
        found = np.searchsorted(self._sums, draws.random(count) * total, side="right")
        within: np.ndarray = np.minimum(found, np.searchsorted(self._sums, total))
        return within


class Epochs:
    """Batches that go through every image once before any comes again.

    Each epoch has its own permutation. Batches are cut from the sequence of all epochs: all batches
    are full, and a batch may begin in one epoch and end in the next.
    """

    def __init__(self, seed: int, purpose: str, images: int, batch: int) -> None:
        self._seed, self._purpose, self._images, self._batch = seed, purpose, images, batch
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def at(self, step: int) -> Int[np.ndarray, "batch"]:
        position, end = step * self._batch, (step + 1) * self._batch
        parts = []
        while position < end:
            epoch, start = divmod(position, self._images)
            part = self._permutation(epoch)[start : start + end - position]
            parts.append(part)
            position += len(part)
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            draws = generator(self._seed, self._purpose, epoch)
            # int32 takes half the memory of int64, and a wide cohort keeps an order for each run.
            self._order = draws.permutation(self._images).astype(np.int32)
            self._epoch = epoch
        return self._order
