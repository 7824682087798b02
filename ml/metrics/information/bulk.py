"""How much of a column's range its rows take up but for a few extremes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

EXTREME = 0.005
"""Share of the rows, at least one, that is left aside at either end."""
FEWEST = 50
"""Rows of which that is told."""


def bulk_shares(columns: Shaped[np.ndarray, "samples columns"]) -> Float[np.ndarray, "columns"]:
    """Share of each column's range, minimum to maximum, in which 99 % of the rows lie.

    Bins of equal width cut the range, so that where the share is small, as of heavy-tailed codes,
    few of them tell rows apart. 1 for a column that is constant but for extremes, as one of a rare
    class, and for fewer than 50 rows.
    """
    rows = len(columns)
    found = np.ones(columns.shape[1])
    if rows < FEWEST:
        return found
    ends = extreme_rows(rows)
    values = np.sort(columns.astype(np.float64), axis=0)
    ranges = values[-1] - values[0]
    inner = values[rows - 1 - ends] - values[ends]
    shares: np.ndarray = np.divide(inner, ranges, out=found, where=inner > 0)
    return shares


def extreme_rows(rows: int) -> int:
    """How many of so many rows are left aside at either end."""
    return max(1, round(EXTREME * rows))
