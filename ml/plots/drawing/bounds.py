"""Bounds of an axis of training curves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes


def show_what_follows_the_start(axes: Axes) -> None:
    """Bound the axis by what comes after a tenth of the points: the first steps dwarf the rest."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    late = [values for curve in curves for values in curve[len(curve) // 10 :]]
    if late and max(late) > min(late):
        margin = 0.05 * (max(late) - min(late))
        axes.set_ylim(min(late) - margin, max(late) + margin)
