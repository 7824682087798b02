"""Films: frames as a GIF file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from ml.plots.protocol import Material

COLOURS = 256


@runtime_checkable
class Film(Protocol):
    """A plot that can also be drawn as a film."""

    def film(self, material: Material) -> bytes:
        """The film as a GIF file.

        Raises:
            NothingToDraw, InvalidSpec: for the same reasons as the plot's `draw`.
        """
        ...


def gif(frames: Sequence[np.ndarray], milliseconds: int | Sequence[int]) -> bytes:
    """Frames (height, width) in grey, or (height, width, 3), in bytes, as a GIF that runs forever.

    All frames share one palette: greys, or 256 colours chosen for the first, middle and last frame.
    `milliseconds` is how long a frame is shown: one number for all frames, or one for each.
    """
    images = [Image.fromarray(frame) for frame in frames]
    if frames[0].ndim == 3:
        palette = _palette(frames)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    file = io.BytesIO()
    first, *rest = images
    first.save(
        file,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=milliseconds,
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def there_and_back(count: int) -> list[int]:
    """Places from 0 to count - 1 and back, so that a film does not jump: 0 1 2 1 for three."""
    return [*range(count), *range(count - 2, 0, -1)]


def _palette(frames: Sequence[np.ndarray]) -> Image.Image:
    """A palette for the colours of the first, middle and last frame."""
    chosen = [frames[place] for place in (0, len(frames) // 2, -1)]
    return Image.fromarray(np.concatenate(chosen)).quantize(COLOURS)
