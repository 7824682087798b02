r"""How far the ends of codes' ranges would move if the rows were drawn again.

Bins of equal width lie between a code's lowest and highest value. A few rows decide these ends. If
tails are heavy, the ends move far from draw to draw, and all bins with them. For codes with
Student's t distribution of two degrees of freedom, this causes nearly the whole deviation of a
score. Subsamples do not show it: two thirds of them hold the very same highest value, and the scale
that takes their deviation to that of all rows holds for means and not for extremes.

So ends are drawn from the tail. The excesses of the k highest values over the next value are taken
as a sample of a generalised Pareto distribution, whose shape and scale are fitted by
probability-weighted moments. Another draw has the highest of Poisson(k) such excesses. This covers
bounded codes (negative shapes), normal ones (about 0) and heavy tails (positive shapes).

References:
    Hosking and Wallis, 1987, https://doi.org/10.1080/00401706.1987.10488243
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

SHARE = 0.05
"""Share of the rows that are taken as a tail."""
FEWEST = 10
LEAST_CHANCE = 1e-12


def redrawn_ends(
    columns: Shaped[np.ndarray, "samples columns"], number: int, draws: np.random.Generator
) -> tuple[Float[np.ndarray, "draws columns"], Float[np.ndarray, "draws columns"]]:
    """Lowest and highest values of `number` other draws of the columns."""
    values = columns.astype(np.float64)
    highest = [_highest(column, number, draws) for column in values.T]
    lowest = [-_highest(-column, number, draws) for column in values.T]
    return np.stack(lowest, axis=1), np.stack(highest, axis=1)


def _highest(values: np.ndarray, number: int, draws: np.random.Generator) -> np.ndarray:
    rows = len(values)
    k = min(max(FEWEST, round(SHARE * rows)), rows - 1)
    top = np.sort(np.partition(values, rows - k - 1)[rows - k - 1 :])
    if k < 2 or top[-1] == top[-2]:
        # If several rows share the highest value, values end there, as those of a grid do.
        return np.full(number, top[-1])
    threshold, excesses = top[0], top[1:] - top[0]
    mean = excesses.mean()
    # b0 and a1 of Hosking and Wallis. The difference is never below 0, as the excesses rise.
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
