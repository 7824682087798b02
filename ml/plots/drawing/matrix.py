"""A matrix of factors by latents, drawn as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml.plots.drawing.sheet import TICK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_WITH_NUMBERS = 12
"""Most columns with numbers in the cells. With more, numbers would be too small to read."""
MOST_COLUMN_NAMES = 25
DARK = 0.6
"""Share of the largest value above which a cell's letters are white."""


def show_matrix(
    axes: Axes,
    values: np.ndarray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    most: float = 1.0,
    numbers: bool = True,
) -> AxesImage:
    """Show values (rows, columns) from 0, white, to `most`, dark blue, with numbers if they fit."""
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=most, aspect="auto")
    every = math.ceil(len(columns) / MOST_COLUMN_NAMES)
    axes.set_xticks(range(0, len(columns), every), list(columns)[::every])
    upright = max(map(len, columns)) > 4 or len(columns) > MOST_WITH_NUMBERS
    axes.tick_params(labelsize=TICK, length=0, pad=2)
    if upright:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.spines[:].set_visible(False)
    if numbers and len(columns) <= MOST_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            axes.text(
                column,
                row,
                hundredths(value),
                ha="center",
                va="center",
                fontsize=TICK - 1,
                color="white" if value > DARK * most else "black",
            )
    return image


def hundredths(value: float) -> str:
    """A number with two decimals, and without the zero before the point: `.07`, `1.00`, `-.07`."""
    # Adding zero turns a negative zero into a positive one.
    text = f"{round(value, 2) + 0.0:.2f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def outline(axes: Axes, row: int, column: int, *, colour: str, dashed: bool = False) -> None:
    """Draw a frame around a cell."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (column - 0.46, row - 0.44),
            0.92,
            0.88,
            fill=False,
            ec=colour,
            lw=1.4,
            ls="--" if dashed else "-",
        )
    )
