"""Which latents a model uses, and how much."""

from __future__ import annotations

import numpy as np

from ml.plots.protocol import Material


def usage(material: Material) -> np.ndarray:
    """Each latent's mean KL in nats, or its codes' deviation if the encoder has no KL."""
    kl: np.ndarray = material.encoded.kl.mean(axis=0)
    if np.isnan(kl).any():
        deviation: np.ndarray = material.encoded.mean.std(axis=0)
        return deviation
    return kl


def by_use(material: Material) -> np.ndarray:
    """The numbers of the latents, the most used first."""
    return np.argsort(-usage(material), kind="stable")
