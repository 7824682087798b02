"""Labels at the right ends of lines, in place of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml.plots.drawing.sheet import TICK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], *, inches: float) -> None:
    """Write labels right of the axes, each as near to the end of its line as the others allow.

    `ends` are (y, label, colour), and `inches` is about how high the axes are. The axes must have
    their final bounds and scale.
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
    """Places at least `apart` from each other, each close to the one wanted. Both are rising.

    Places that would overlap form a block around the mean of the wanted ones.
    """
    blocks: list[tuple[float, int]] = []  # Mean of (wanted - place within the block), members.
    for place in wanted:
        mean, members = float(place), 1
        while blocks and blocks[-1][0] + apart * blocks[-1][1] > mean:
            before, count = blocks.pop()
            # Both means are taken for the first member of the earlier block.
            mean = (before * count + (mean - apart * count) * members) / (count + members)
            members += count
        blocks.append((mean, members))
    return np.array([mean + apart * k for mean, members in blocks for k in range(members)])
