"""Which images are near each other in code space."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

Distance = Literal["euclidean", "standardised"]
"""`standardised`: each latent in units of the codes' deviation, so that all count alike."""


def distances(
    codes: np.ndarray, others: np.ndarray, *, units: np.ndarray | None = None
) -> np.ndarray:
    """Euclidean distances (codes, others) of codes (codes, latents) and (others, latents).

    `units` are those of `deviations`, or None for the latents as they are.
    """
    left, right = codes.astype(np.float64), others.astype(np.float64)
    if units is not None:
        left, right = left / units, right / units
    found: np.ndarray = cdist(left, right)
    return found


def deviations(codes: np.ndarray) -> np.ndarray:
    """Each latent's standard deviation (latents,), 1 for one that does not vary at all."""
    found: np.ndarray = codes.std(axis=0, dtype=np.float64)
    return np.where(found > 0, found, 1.0)


def nearest_rows(distances: np.ndarray, count: int) -> np.ndarray:
    """Rows in rising order of their distances (rows,), at most `count`; of equal ones the first."""
    return np.argsort(distances, kind="stable")[:count]
