"""Latents that are drawn, not encoded from images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from ml.evaluation.encode import EncodedRows
from ml.plots.of_models.prior_samples import like
from ml.reproducibility.draws import generator

Source = Literal["prior", "codes"]
"""The prior N(0, I), or a Gaussian with the mean and covariance of the codes."""


def generated(
    encoded: EncodedRows, count: int, seed: int
) -> tuple[Float[np.ndarray, "count latents"], Source]:
    """Latents drawn from the prior, in float32, and the distribution that they are drawn from.

    A model without noise has no prior. Its latents are drawn from a Gaussian fitted to its codes.
    The same seed gives the same latents on every machine, and in the plot `prior_samples`. A larger
    `count` adds latents after those of a smaller one.
    """
    latents = encoded.mean.shape[1]
    noise = generator(seed, "prior samples").standard_normal((count, latents))
    if np.isnan(encoded.kl).any():
        return like(encoded.mean, noise).astype(np.float32), "codes"
    return noise.astype(np.float32), "prior"
