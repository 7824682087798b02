"""Labels that stand at the right end of lines, in place of a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ml.plots.drawing.sheet import TICK


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], *, inches: float) -> None:
    """Labels right of the axes, each as near as the others let it be to where its line ends.

    `ends` are (y, label, colour), and `inches` is about how high the axes are. The axes' bounds
    and scale are those that stay.
    """
    apart = 1.15 * TICK / 72 / inches
    ordered = sorted(ends)
    wanted = axes.transAxes.inverted().transform(
        [axes.transData.transform((1.0, y)) for y, _, _ in ordered]
    )[:, 1]
    for (_, label, colour), place in zip(ordered, spread(wanted, apart), strict=True):
        axes.text(
            1.02, place, label, color=colour, fontsize=TICK, va="center", transform=axes.transAxes
        )


def spread(wanted: np.ndarray, apart: float) -> np.ndarray:
    """Rising places that lie at least so far apart, each close to the rising one it wants.

    Those that would overlap become a block around the mean of what they want.
    """
    blocks: list[tuple[float, int]] = []  # Mean of (wanted - place within the block), members.
    for place in wanted:
        mean, members = float(place), 1
        while blocks and blocks[-1][0] + apart * blocks[-1][1] > mean:
            before, count = blocks.pop()
            # Both as if their first member stood at the earlier block's beginning.
            mean = (before * count + (mean - apart * count) * members) / (count + members)
            members += count
        blocks.append((mean, members))
    return np.array([mean + apart * k for mean, members in blocks for k in range(members)])
