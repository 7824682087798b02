"""The protocol of posteriors: what the numbers of an encoder's head mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ml.objectives.posteriors.traversals import Span, evenly, spanned


class Posterior(ABC):
    """A family of distributions q(z|x), one factor a latent.

    The family defines how many numbers the encoder's head has for each latent, how a sample is made
    from noise, the KL divergence to the prior, and the values of a latent in a traversal. Functions
    are pure and take the encoder's head, `(samples, numbers_per_latent * latents)`.
    """

    numbers_per_latent: ClassVar[int]
    head_in_torch: ClassVar[str]
    """The line of torch that computes `mean` and `log_variance` from `head`, for programs that load
    weights without Heddle (`ml.export.plain_loader`). It is optional, and not inherited."""

    @abstractmethod
    def mean(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        """The codes, which are the posterior means."""

    @abstractmethod
    def log_variance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        """Logarithm of the posterior variances."""

    @abstractmethod
    def sample(
        self, head: Float[Tensor, "batch numbers"], noise: Float[Tensor, "batch latents"]
    ) -> Float[Tensor, "batch latents"]:
        """Latents z as a differentiable function of standard normal noise."""

    @abstractmethod
    def kl(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"] | None:
        """KL(q(z_d|x) || p(z_d)) in nats, or None for a family without a KL."""

    def traverse(
        self,
        codes: Float[np.ndarray, "samples latents"],
        frames: int,
        *,
        span: Span = "quantiles",
        extent: float | None = None,
        between: tuple[float, float] | None = None,
    ) -> Float[np.ndarray, "latents frames"]:
        """Values that each latent takes in a traversal, rising along a row.

        By default they are quantiles of the codes from 1 % to 99 %, so that they lie where the
        model's codes do (`ml.objectives.posteriors.traversals.spanned`). `between` gives two plain
        numbers as ends in place of the span.
        """
        if between is not None:
            return evenly(*between, latents=codes.shape[1], frames=frames)
        return spanned(codes, frames, span=span, extent=extent)

    def prior(
        self, latents: int, noise: Float[np.ndarray, "latents"] | None = None
    ) -> Float[np.ndarray, "latents"] | None:
        """The prior's mean, or a draw from the prior if standard normal noise is given.

        The prior here is standard normal. A family without a prior returns None.
        """
        return np.zeros(latents) if noise is None else noise
