"""noisy_dsprites: dSprites on a background of noise."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from ml.components.registry import register
from ml.datasets.dataset import Paint
from ml.datasets.worlds._painted_sprites import (
    CHANNELS,
    SIDE,
    PaintedSprites,
    as_images,
    random_bytes,
    sprites,
)

NOTE = "The noise of each image is random, and no factor says it."


@register
class NoisyDSprites(PaintedSprites):
    """noisy_dsprites: white dSprites on coloured noise, 64 x 64 pixels.

    The factors are those of dSprites. Each channel of each pixel of the background is uniform from
    0 to 255, and sprites are white.

    Locatello et al. draw fresh noise each time an image is used. Here each of the 737,280 images
    has one noise, drawn from its index, so that an image is the same each time.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    version: ClassVar[int] = 1
    name: Literal["noisy_dsprites"] = "noisy_dsprites"

    def painted(self) -> tuple[Paint, tuple[str, ...]]:
        return paint, (NOTE,)


def paint(
    rows: Int64[np.ndarray, "samples"], bits: UInt8[np.ndarray, "samples bytes"]
) -> UInt8[np.ndarray, "samples 64 64 3"]:
    """White sprites on their noise."""
    noise = random_bytes(rows, SIDE * SIDE * CHANNELS, stream=1)
    return as_images(sprites(bits) | noise.reshape(-1, SIDE, SIDE * CHANNELS))
