"""color_dsprites: dSprites whose sprites have random colours."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from ml.components.registry import register
from ml.datasets.dataset import Paint
from ml.datasets.worlds._painted_sprites import (
    PaintedSprites,
    along_columns,
    as_images,
    random_bytes,
    sprites,
)

NOTE = "The colour of each sprite is random, and no factor says it."


@register
class ColorDSprites(PaintedSprites):
    """color_dsprites: dSprites in random colours on black, 64 x 64 pixels.

    The factors are those of dSprites. The channels of a sprite's colour are uniform from 128 to
    255, and no factor says them.

    Locatello et al. draw a fresh colour each time an image is used. Here each of the 737,280 images
    has one colour, drawn from its index, so that an image is the same each time.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    version: ClassVar[int] = 1
    name: Literal["color_dsprites"] = "color_dsprites"

    def painted(self) -> tuple[Paint, tuple[str, ...]]:
        return paint, (NOTE,)


def paint(
    rows: Int64[np.ndarray, "samples"], bits: UInt8[np.ndarray, "samples bytes"]
) -> UInt8[np.ndarray, "samples 64 64 3"]:
    """Sprites in their colours."""
    colours = random_bytes(rows, 3, stream=0) | np.uint8(128)
    return as_images(sprites(bits) & along_columns(colours))
