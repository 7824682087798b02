"""Which images are near each other in code space."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

Distance = Literal["euclidean", "standardised"]
"""`standardised`: each latent in units of the codes' deviation, so that all count alike."""


def distances(
    codes: Float[np.ndarray, "codes latents"],
    others: Float[np.ndarray, "others latents"],
    *,
    units: Float[np.ndarray, "latents"] | None = None,
) -> Float[np.ndarray, "codes others"]:
    """Euclidean distances of each code from each of the others.

    `units` are those of `deviations`, or None for the latents as they are.
    """
    left, right = codes.astype(np.float64), others.astype(np.float64)
    if units is not None:
        left, right = left / units, right / units
    found: np.ndarray = cdist(left, right)
    return found


def deviations(codes: Float[np.ndarray, "samples latents"]) -> Float[np.ndarray, "latents"]:
    """Each latent's standard deviation, 1 for one that does not vary at all."""
    found: np.ndarray = codes.std(axis=0, dtype=np.float64)
    return np.where(found > 0, found, 1.0)


def nearest_rows(distances: Float[np.ndarray, "rows"], count: int) -> Int[np.ndarray, "nearest"]:
    """Rows in rising order of their distances, at most `count`; of equal ones the first."""
    return np.argsort(distances, kind="stable")[:count]
