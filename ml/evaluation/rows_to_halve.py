"""At which number of rows the interval of a score would have half its width."""

from __future__ import annotations

import math
from typing import NamedTuple

NO_INTERVAL = "the score has no interval"
NO_WIDTH = "the interval has no width"
POPULATION = "the rows are every image there is, so that there is no sampling error"
LASTING = (
    "half of the interval or more is due to what more rows hardly lessen: the extremes that decide"
    " how codes are cut, the metric's own draws, or a fixed number of rows that it fits"
)


class RowsToHalve(NamedTuple):
    """A number of rows, or why there is none."""

    rows: int | None
    missing: str | None = None


def rows_to_halve(
    rows: int,
    half_width: float | None,
    *,
    lasting: float = 0.0,
    available: int | None = None,
    population: bool = False,
) -> RowsToHalve:
    r"""The number of rows at which the interval would have half its width.

    With a half width h on n rows, of which d is what rows hardly lessen
    (`Metric.lasting_half_widths`), n' rows give

    .. math:: h'^2 = (h^2 - d^2) \frac{n}{n'} + d^2

    so that n' is 4 n if there is no such part. Of a metric that fits predictors, training and test
    rows both grow in proportion. `available` is the number of rows that there
    are in all, if it is known.
    """
    if population:
        return RowsToHalve(None, POPULATION)
    if half_width is None or not math.isfinite(half_width):
        return RowsToHalve(None, NO_INTERVAL)
    if half_width == 0:
        return RowsToHalve(None, NO_WIDTH)
    share = min(1.0, lasting / half_width)
    if share >= 0.5:
        return RowsToHalve(None, LASTING)
    # Rounding must not make 4 n into 4 n + 1.
    needed = math.ceil(round(rows * (1 - share**2) / (0.25 - share**2), 6))
    if available is not None and needed > available:
        return RowsToHalve(
            None, f"it would take {needed:,} rows, and the data set has {available:,} images"
        )
    return RowsToHalve(needed)
