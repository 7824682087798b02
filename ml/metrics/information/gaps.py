"""The best and the second best value of each column."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def best_and_second(
    values: Float[np.ndarray, "rows columns"],
) -> tuple[Float[np.ndarray, "columns"], Float[np.ndarray, "columns"]]:
    """The largest and the second largest value of each column. With one row the second is 0."""
    ordered = np.sort(values, axis=0)[::-1]
    return ordered[0], ordered[1] if len(ordered) > 1 else np.zeros_like(ordered[0])
