"""Rows of images, with a label to their left and a text under each image, drawn as one image."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.plots.drawing.letters import inches
from ml.plots.drawing.sheet import LABEL, LETTERS_AN_INCH, TICK, TITLE
from ml.plots.drawing.tiles import show_tiles, tiles
from ml.plots.protocol import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE, SMALL_TILE = 0.6, 0.4
"""Approximate width of an image in inches: usually, and if there are many columns."""
TEXT = 0.15
"""Height of a line of text in inches."""
TEXT_SIZE = 6.0
GAP = 0.04
MARGIN = 0.1
MOST_TEXTS_ALONG = 26
"""Most images in a row with texts under them. With more, the texts would overlap."""


@dataclass(frozen=True)
class Row:
    """A row of images."""

    label: str
    below: str
    """A text in grey under the label."""
    images: np.ndarray
    """The images, (columns, height, width, channels)."""
    texts: Sequence[str]
    """Texts under the images: one for each image, or none."""


def mosaic(title: str, rows: Sequence[Row], *, first: str = "") -> Figure:
    """A sheet of rows with the same number of images.

    With `first`, a gap sets off the first column, and `first` is written over it. All images are
    drawn as one, and all places are computed here: axes for each image, or a layout that measures
    every text, would take seconds.
    """
    from matplotlib.figure import Figure

    count, height, width, _ = rows[0].images.shape
    many = count > MOST_TEXTS_ALONG
    an_inch = _pixels_an_inch(width, SMALL_TILE if many else TILE)
    has_texts = any(row.texts for row in rows) and not many
    gap = max(1, round(GAP * an_inch))
    below = round(TEXT * an_inch) if has_texts else 0
    aside = 3 * gap if first else 0
    drawn = tiles(np.concatenate([row.images for row in rows]), count, gap=gap, below=below)
    if aside:
        # A gap sets off the first column, as the others are changes of it.
        drawn = np.insert(drawn, [width] * aside, 1, axis=1)
    left = max(
        *(inches(row.label, LABEL) for row in rows), *(inches(row.below, TICK) for row in rows)
    )
    left = _whole(left + MARGIN + GAP + 0.02)
    across, down = drawn.shape[1] / an_inch, drawn.shape[0] / an_inch
    wide = left + across + MARGIN
    lines = textwrap.wrap(title, max(20, int(wide * LETTERS_AN_INCH)))
    above = _whole(MARGIN + TEXT * len(lines) + (TEXT if first else 0.04))
    high = above + down + _whole(below / an_inch + MARGIN)
    figure = Figure(figsize=(wide, high))
    figure.suptitle("\n".join(lines), fontsize=TITLE, y=1 - MARGIN / high, va="top")
    place = (left / wide, 1 - (above + down) / high, across / wide, down / high)
    axes = figure.add_axes(place)
    show_tiles(axes, drawn)
    middles = [column * (width + gap) + bool(column) * aside + width / 2 for column in range(count)]
    beside: dict[str, Any] = {"x": -GAP * an_inch - 0.5, "ha": "right"}
    for number, row in enumerate(rows):
        top = number * (height + gap + below)
        middle = top + height / 2
        where = "bottom" if row.below else "center"
        axes.text(y=middle, s=row.label, va=where, fontsize=LABEL, **beside)
        if row.below:
            axes.text(y=middle, s=row.below, va="top", fontsize=TICK, color="0.4", **beside)
        for x, text in zip(middles, row.texts if has_texts else (), strict=False):
            if text:
                bottom = top + height + 0.02 * an_inch
                axes.text(x, bottom, text, ha="center", va="top", fontsize=TEXT_SIZE, color="0.25")
    if first:
        axes.text(middles[0], -0.03 * an_inch, first, ha="center", va="bottom", fontsize=TEXT_SIZE)
    return figure


def _pixels_an_inch(width: int, tile: float) -> float:
    """Image pixels in an inch of the sheet, for images of this width that are about a tile wide.

    Each image pixel becomes a whole number of pixels in a PNG file.
    """
    times = round(tile * DPI / width)
    exact = width * times / DPI
    return DPI / times if times and exact < 1.4 * tile else width / tile


def _whole(inches: float) -> float:
    """The inches, or a little more, so that they are a whole number of pixels in a PNG file."""
    return math.ceil(inches * DPI) / DPI
