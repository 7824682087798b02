r"""How far the ends of codes' ranges would move if the rows were drawn again.

Bins of equal width lie between a code's lowest and highest value. A few rows decide these, and
where tails are heavy they move far from draw to draw, and all bins with them: of codes with
Student's t of two degrees of freedom nearly the whole deviation of a score comes from there.
Subsamples do not show it. Two thirds of them hold the very same highest value, and the scale by
which their deviation is taken to that of all rows is one of means, not of extremes.

So ends are drawn from the tail. The excesses of the k highest values over the next are taken for
a generalised Pareto distribution, whose shape and scale are fitted by probability-weighted
moments, and another draw has the highest of Poisson(k) such excesses. That covers bounded codes
(negative shapes), normal ones (about 0) and heavy tails (above).

References:
    Hosking and Wallis, 1987, https://doi.org/10.1080/00401706.1987.10488243
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

SHARE = 0.05
"""Of the rows, that are taken for a tail."""
FEWEST = 10
LEAST_CHANCE = 1e-12


def redrawn_ends(
    columns: Shaped[np.ndarray, "samples columns"], number: int, draws: np.random.Generator
) -> tuple[Float[np.ndarray, "draws columns"], Float[np.ndarray, "draws columns"]]:
    """Lowest and highest values of other draws of the columns, as many as `number` says."""
    values = columns.astype(np.float64)
    highest = [_highest(column, number, draws) for column in values.T]
    lowest = [-_highest(-column, number, draws) for column in values.T]
    return np.stack(lowest, axis=1), np.stack(highest, axis=1)


def _highest(values: np.ndarray, number: int, draws: np.random.Generator) -> np.ndarray:
    rows = len(values)
    k = min(max(FEWEST, round(SHARE * rows)), rows - 1)
    top = np.sort(np.partition(values, rows - k - 1)[rows - k - 1 :])
    if k < 2 or top[-1] == top[-2]:
        # What several rows reach is where the values end, as those of a grid do.
        return np.full(number, top[-1])
    threshold, excesses = top[0], top[1:] - top[0]
    mean = excesses.mean()
    # b0 and a1 of Hosking and Wallis; what differs is never below 0, as the excesses rise.
    weighted = (np.arange(k)[::-1] / (k - 1) * excesses).mean()
    difference = mean - 2 * weighted
    shape, scale = 2 - mean / difference, 2 * mean * weighted / difference
    beyond = -np.expm1(np.log1p(-draws.random(number)) / np.maximum(1, draws.poisson(k, number)))
    beyond = np.maximum(beyond, LEAST_CHANCE)
    if abs(shape) < 1e-6:
        drawn = -scale * np.log(beyond)
    else:
        drawn = scale / shape * np.expm1(-shape * np.log(beyond))
    highest: np.ndarray = threshold + drawn
    return highest
