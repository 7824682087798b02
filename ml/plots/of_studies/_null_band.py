"""The null's band: scores in it are no better than those of codes that know nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ml.metrics.significance import not_clear
from ml.plots.drawing.colours import GREY
from ml.studies.study import Column, StudyRun
from ml.studies.values import pooled_null

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL = "not clear of null"
_STYLE: dict[str, Any] = {
    "facecolor": GREY,
    "alpha": 0.35,
    "edgecolor": GREY,
    "linewidth": 0.8,
    "zorder": 0,
}


def null_band(
    axes: Axes,
    runs: Iterable[StudyRun],
    column: Column,
    *,
    across: tuple[float, float] | None = None,
) -> bool:
    """Draw the band of the runs' pooled null in the background, and return whether there is one.

    Scores in the band are not clear of the null (`ml.metrics.significance`). The band is cut to the
    score's range. It reaches across the panel, or from one x to another if `across` is given.
    """
    from matplotlib.patches import Rectangle

    null = pooled_null(runs, column.name)
    between = None if null is None else not_clear(null)
    if between is None:
        return False
    low, high = between
    lowest, highest = column.range
    low = low if lowest is None else max(low, lowest)
    high = high if highest is None else min(high, highest)
    if across is None:
        axes.axhspan(low, high, **_STYLE)
    else:
        left, right = across
        axes.add_patch(Rectangle((left, low), right - left, high - low, **_STYLE))
    return True
