"""The sheet that a picture is drawn on: its sizes, a title that fits, and the bounds of axes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ml.plots.drawing.letters import inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE, LABEL, TICK = 8.0, 8.0, 7.0
"""Sizes of letters, in points."""
COLUMN = 3.5
"""Width of a paper's column in inches."""
PAGE = 7.2
"""Width of a paper's page in inches."""
LETTERS_AN_INCH = 18
"""Most letters of a title in an inch. An average letter is half as wide as it is high."""
MARGIN = 0.05
"""Room to the left and right of a title, in inches."""


def sheet(width: float, height: float, title: str) -> Figure:
    """An empty figure of this size in inches. Its title has as many lines as it needs."""
    from matplotlib.figure import Figure

    lines = _lines(title, width - 2 * MARGIN)
    figure = Figure(figsize=(width, height + 0.13 * len(lines)), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize=TITLE)
    return figure


def _lines(title: str, width: float) -> list[str]:
    """The title in lines that fit this width in inches, broken between words if possible."""
    for letters in range(int(width * LETTERS_AN_INCH), 1, -1):
        lines = textwrap.wrap(title, letters)
        if all(inches(line, TITLE) <= width for line in lines):
            return lines
    return textwrap.wrap(title, 1)


def small_letters(axes: Axes) -> None:
    """Set ticks and labels in sizes for a paper's column, and remove the frame above and right."""
    axes.tick_params(labelsize=TICK, length=2.5, pad=2)
    axes.xaxis.label.set_fontsize(LABEL)
    axes.yaxis.label.set_fontsize(LABEL)
    axes.title.set_fontsize(LABEL)
    axes.spines[["top", "right"]].set_visible(False)


def show_what_follows_the_start(axes: Axes) -> None:
    """Bound the y axis by the points after the first tenth, as the first steps dwarf the rest."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    late = [values for curve in curves for values in curve[len(curve) // 10 :]]
    if late and max(late) > min(late):
        margin = 0.05 * (max(late) - min(late))
        axes.set_ylim(min(late) - margin, max(late) + margin)
