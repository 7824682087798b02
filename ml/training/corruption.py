"""What the encoder sees of an image while a model learns to remove noise or to fill in."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ml.datasets.protocol import DatasetComponent
from ml.reproducibility.draws import Stream


class Corruption:
    """The noise and the hidden squares of one batch of each step of one run.

    Args:
        batch_number: which of the step's batches it is.
        shape: height, width and channels.
    """

    def __init__(
        self,
        dataset: DatasetComponent,
        shape: tuple[int, int, int],
        *,
        seed: int,
        batch_number: int,
        batch: int,
    ) -> None:
        height, width, channels = shape
        hidden = hidden_sides(dataset.input_mask, height, width)
        self._noise = Stream(
            seed,
            f"input noise {batch_number}",
            lambda draws: draws.standard_normal((batch, channels, height, width), np.float32),
        )
        # The square lies wholly in the picture, and all its places are equally likely.
        self._corners = Stream(
            seed,
            f"input mask {batch_number}",
            lambda draws: draws.integers(
                0, [height - hidden[0] + 1, width - hidden[1] + 1], size=(batch, 2)
            ),
        )

    def noise(self, step: int) -> Float[np.ndarray, "batch channels height width"]:
        """Standard normal noise."""
        return self._noise.at(step)

    def corners(self, step: int) -> np.ndarray:
        """Top and left of each hidden square, (batch, 2)."""
        return self._corners.at(step)


def hidden_sides(share: float, height: int, width: int) -> tuple[int, int]:
    """Height and width of the part of a picture that has this share of it, at least a pixel."""
    side = math.sqrt(share)
    return max(1, round(side * height)), max(1, round(side * width))


def corrupted(
    images: Float[Tensor, "places batch channels height width"],
    dataset: DatasetComponent,
    noise: Callable[[], Tensor],
    corners: Callable[[], Tensor],
) -> Float[Tensor, "places batch channels height width"]:
    """The images with noise, clipped to [0, 1], and then with a part of each of them black.

    Noise and corners, (places, batch, ...), are drawn only if the data set's params ask for them.
    """
    if dataset.input_noise:
        images = (images + dataset.input_noise * noise()).clamp(0, 1)
    if dataset.input_mask:
        height, width = images.shape[-2:]
        tall, wide = hidden_sides(dataset.input_mask, height, width)
        top, left = corners().unsqueeze(-1).unbind(-2)
        y = torch.arange(height, device=images.device)
        x = torch.arange(width, device=images.device)
        rows, columns = (y >= top) & (y < top + tall), (x >= left) & (x < left + wide)
        hidden = rows.unsqueeze(-1) & columns.unsqueeze(-2)
        images = images.masked_fill(hidden.unsqueeze(-3), 0)
    return images
