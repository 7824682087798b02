"""The share of a column's range that its rows take up, apart from a few extremes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

EXTREME = 0.005
"""Share of the rows that are extremes at either end. There is at least one."""
FEWEST = 50
"""Fewest rows for which the share is computed."""


def bulk_shares(columns: Shaped[np.ndarray, "samples columns"]) -> Float[np.ndarray, "columns"]:
    """Share of each column's range, minimum to maximum, in which 99 % of the rows lie.

    Bins of equal width cut the range. If the share is small, as for heavy-tailed codes, most rows
    fall into few bins. The share is 1 for fewer than 50 rows, and for a column that is constant
    apart from extremes, as that of a rare class.
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
    """How many of this many rows are extremes at either end."""
    return max(1, round(EXTREME * rows))
