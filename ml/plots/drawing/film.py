"""Frames of films: tiles in bytes, with letters above them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ml.plots.animation import gif, there_and_back
from ml.plots.drawing.letters import fitting, font
from ml.plots.drawing.tiles import tiles

TILE = 96
"""Least width of a tile in pixels. Smaller images are enlarged by a whole number."""
LINE = 15
LETTERS = 12
MARGIN = 8
MILLISECONDS = 70


def tiles_film(images: np.ndarray, labels: Sequence[tuple[str, str]]) -> bytes:
    """Tiles side by side as a GIF file. All move there and back in step.

    `images` are (tiles, frames, height, width, channels) in [0, 1]. `labels` are two lines for each
    tile.
    """
    count, frames = images.shape[:2]
    columns = min(count, math.ceil(math.sqrt(1.6 * count)))
    above = 2 * LINE
    drawn = [framed(images[:, frame], columns, above=above) for frame in range(frames)]
    letters = _letters(drawn[0].shape[:2], images.shape[2:4], columns, labels, above)
    shown = [_over(one, letters) for one in drawn]
    return gif([shown[place] for place in there_and_back(frames)], MILLISECONDS)


def framed(images: np.ndarray, columns: int, *, above: int) -> np.ndarray:
    """Images (tiles, height, width, channels) in [0, 1] as one image in bytes.

    There are `above` pixels of room over each.
    """
    large = enlarged(images)
    count, height, width, channels = large.shape
    taller = np.ones((count, height + above, width, channels), np.float32)
    taller[:, above:] = large
    whole = tiles(taller, columns, gap=MARGIN)
    whole = np.pad(whole, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=1.0)
    grey = channels == 1
    as_bytes: np.ndarray = (whole.clip(0, 1) * 255).round().astype(np.uint8)
    return as_bytes[..., 0] if grey else as_bytes


def enlarged(images: np.ndarray) -> np.ndarray:
    """Images with each pixel repeated, until they are at least a tile wide."""
    times = max(1, round(TILE / images.shape[2]))
    return images.repeat(times, axis=1).repeat(times, axis=2)


def with_letters(frame: np.ndarray, texts: Sequence[tuple[float, float, str]]) -> np.ndarray:
    """The frame with texts, each with its upper left corner at (x, y)."""
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    ink = 30 if frame.ndim == 2 else (30, 30, 30)
    for x, y, text in texts:
        draw.text((x, y), text, fill=ink, font=font(LETTERS))
    return np.asarray(image)


def _letters(
    size: tuple[int, ...],
    image: tuple[int, ...],
    columns: int,
    labels: Sequence[tuple[str, str]],
    above: int,
) -> np.ndarray:
    """The labels in black on white, drawn once for all frames."""
    times = max(1, round(TILE / image[1]))
    height, width = image[0] * times + above + MARGIN, image[1] * times
    texts = []
    for place, lines in enumerate(labels):
        row, column = divmod(place, columns)
        x, y = MARGIN + column * (width + MARGIN), MARGIN + row * height
        texts += [
            (x, y + line * LINE, fitting(text, width, LETTERS)) for line, text in enumerate(lines)
        ]
    return with_letters(np.full(size, 255, np.uint8), texts)


def _over(frame: np.ndarray, letters: np.ndarray) -> np.ndarray:
    darker: np.ndarray = np.minimum(frame, letters if frame.ndim == 2 else letters[..., None])
    return darker
