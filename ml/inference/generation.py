"""Latents that nobody encoded."""

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
    """Latents of the prior, and where they are from; float32.

    A model without noise has no prior: there they are of a Gaussian fitted to its codes. The same
    seed gives the same latents on every machine, those of the plot `prior_samples`, and more of
    them begin with the fewer.
    """
    latents = encoded.mean.shape[1]
    noise = generator(seed, "prior samples").standard_normal((count, latents))
    if np.isnan(encoded.kl).any():
        return like(encoded.mean, noise).astype(np.float32), "codes"
    return noise.astype(np.float32), "prior"
