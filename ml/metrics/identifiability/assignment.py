"""The one-to-one assignment of latents to factors with the largest total."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def best_assignment(
    values: Float[np.ndarray, "latents factors"],
) -> tuple[Int[np.ndarray, "factors"], Float[np.ndarray, "factors"]]:
    """The latent of each factor, and its value.

    No latent is assigned twice, and the sum of the values, which must not be negative, is as large
    as it can be. With fewer latents than factors some factors have none: their latent is -1, and
    their value 0.
    """
    # The import is slow, and a process that only trains does not need it.
    from scipy.optimize import linear_sum_assignment

    latents, factors = linear_sum_assignment(values, maximize=True)
    assigned, found = np.full(values.shape[1], -1), np.zeros(values.shape[1])
    assigned[factors], found[factors] = latents, values[latents, factors]
    return assigned, found
