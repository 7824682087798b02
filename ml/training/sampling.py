"""Which images a batch has. This depends only on the seed and the step."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Int

from ml.reproducibility.draws import Stream, generator
from ml.spec.choices import Sampling


class Indices(Protocol):
    """Indices of the images of each step."""

    def at(self, step: int) -> Int[np.ndarray, "batch"]:
        """Indices into the data set."""


def indices(sampling: Sampling, *, seed: int, number: int, images: int, batch: int) -> Indices:
    """Indices of the `number`-th independent batch of every step.

    The data set has `images` images, and a batch has `batch` of them.
    """
    if sampling == "epochs":
        return Epochs(seed, f"epochs {number}", images, batch)
    return Stream(seed, f"batch {number}", lambda draws: draws.integers(0, images, size=batch))


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
