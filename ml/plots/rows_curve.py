"""The picture of scores against rows (`ml.evaluation.rows_curve`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ml.evaluation.rows_curve import Curve, CurvePoint, RowsCurve
from ml.plots.drawing.colours import BLUE, GREY
from ml.plots.drawing.sheet import COLUMN, TICK, sheet, small_letters
from ml.plots.protocol import NothingToDraw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

MOST_PANELS = 24


def draw_rows_curve(found: RowsCurve, title: str) -> Figure:
    """A panel for each number. Dots are subsamples, the line is their mean.

    The band is one deviation of fresh draws to either side. The grey band reaches from the lowest
    to the highest score with permuted factors, for metrics that are cheap enough. The panel's title
    says whether the score of all rows still moves.

    Raises:
        NothingToDraw: no number has a value.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    curves = [one for one in found.curves if any(point.values for point in one.points)]
    if not curves:
        raise NothingToDraw("No subsample has a score.")
    curves = curves[:MOST_PANELS]
    wide = 1 if len(curves) == 1 else 2
    high = math.ceil(len(curves) / wide)
    figure = sheet(COLUMN * wide, 2.1 * high + 0.3, title)
    grid = list(figure.subplots(high, wide, squeeze=False).flat)
    for axes in grid[len(curves) :]:
        axes.set_axis_off()
    with_null = False
    for axes, curve in zip(grid, curves, strict=False):
        with_null |= _draw(axes, curve)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLUE, marker="o", ms=3.2, lw=1.4, label="mean of subsamples"),
        Patch(facecolor=BLUE, alpha=0.18, label="± a deviation of fresh draws"),
    ]
    if with_null:
        handles.append(Patch(facecolor=GREY, alpha=0.45, label="factors permuted"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=wide + 1, fontsize=TICK, frameon=False
    )
    return figure


def _draw(axes: Axes, curve: Curve) -> bool:
    """Draw a number and return whether it has a null."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    points = [point for point in curve.points if point.values]
    nulls = [point for point in points if point.null]
    if nulls:
        axes.fill_between(
            [point.rows for point in nulls],
            [min(point.null) for point in nulls],
            [max(point.null) for point in nulls],
            color=GREY,
            alpha=0.45,
            lw=0,
            zorder=0,
        )
    for point in points:
        axes.plot(
            [point.rows] * len(point.values),
            point.values,
            "o",
            color=BLUE,
            ms=2.6,
            alpha=0.5,
            mew=0,
            zorder=3,
        )
    axes.plot(
        [point.rows for point in points],
        [_mean(point) for point in points],
        color=BLUE,
        lw=1.4,
        zorder=2,
    )
    spread = [point for point in points if point.std is not None]
    axes.fill_between(
        [point.rows for point in spread],
        [_mean(point) - (point.std or 0.0) for point in spread],
        [_mean(point) + (point.std or 0.0) for point in spread],
        color=BLUE,
        alpha=0.18,
        lw=0,
        zorder=1,
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_ticks([point.rows for point in points])))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value):,}"))
    axes.set_xlabel("rows")
    axes.set_ylabel(_called(curve))
    axes.set_title(trend_of(curve))
    small_letters(axes)
    return bool(nulls)


def _ticks(sizes: list[int]) -> list[int]:
    """The last size and every second one before it, of which those too near to it are left out."""
    *before, last = sizes
    kept = [size for size in before[::2] if size * 1.8 <= last]
    return [*kept, last]


def _called(curve: Curve) -> str:
    chosen = [str(curve.params[name]) for name in ("predictor",) if name in curve.params]
    metric = " ".join([curve.metric, *chosen])
    return metric if curve.name == curve.metric else f"{metric}\n{curve.name}"


def trend_of(curve: Curve) -> str:
    """`still climbs: +0.021 from 800 to 1,500 rows`, or `level from 800 rows on`."""
    if curve.trend is None or curve.change is None:
        return ""
    if curve.trend == "level":
        return f"level from {curve.change_from:,} rows on"
    return (
        f"still {curve.trend}: {curve.change:+.3f} from {curve.change_from:,} to"
        f" {curve.points[-1].rows:,} rows"
    )


def _mean(point: CurvePoint) -> float:
    return math.nan if point.mean is None else point.mean
