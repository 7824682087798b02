"""Which images are near each other in code space."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Distance = Literal["euclidean", "standardised"]
"""`standardised` measures each latent in units of its deviation, so that all count equally."""


def distances(
    codes: Float[np.ndarray, "codes latents"],
    others: Float[np.ndarray, "others latents"],
    *,
    units: Float[np.ndarray, "latents"] | None = None,
) -> Float[np.ndarray, "codes others"]:
    """Euclidean distances from each code to each of the others.

    Latents are measured in `units` (their `deviations`), or as they are if it is None.
    """
    from scipy.spatial.distance import cdist  # Only this needs it, and it takes 0.1 s.

    left, right = codes.astype(np.float64), others.astype(np.float64)
    if units is not None:
        left, right = left / units, right / units
    found: np.ndarray = cdist(left, right)
    return found


def deviations(codes: Float[np.ndarray, "samples latents"]) -> Float[np.ndarray, "latents"]:
    """Each latent's standard deviation, or 1 if it does not vary."""
    found: np.ndarray = codes.std(axis=0, dtype=np.float64)
    return np.where(found > 0, found, 1.0)


def nearest_rows(distances: Float[np.ndarray, "rows"], count: int) -> Int[np.ndarray, "nearest"]:
    """At most `count` rows, the nearest first. Rows with equal distances keep their order."""
    return np.argsort(distances, kind="stable")[:count]
