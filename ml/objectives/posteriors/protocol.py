"""What an encoder's numbers mean: the posterior family of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ml.objectives.posteriors.traversals import Span, evenly, spanned


class Posterior(ABC):
    """A family of distributions q(z|x), one factor a latent.

    The family owns the encoder's head (how many numbers it has for each latent), how a sample is
    made from noise, the KL divergence to the prior, and the values through which a latent is
    led when it is traversed. Functions are pure and take the head as the encoder gave it,
    `(samples, numbers_per_latent * latents)`.
    """

    numbers_per_latent: ClassVar[int]
    head_in_torch: ClassVar[str]
    """The line of torch that makes `mean` and `log_variance` of `head`, for programs that load
    weights without Heddle (`ml.export.plain_loader`). Optional; a subclass states its own."""

    @abstractmethod
    def mean(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        """The codes: posterior means."""

    @abstractmethod
    def log_variance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        """Logarithm of the posterior variances."""

    @abstractmethod
    def sample(
        self, head: Float[Tensor, "batch numbers"], noise: Float[Tensor, "batch latents"]
    ) -> Float[Tensor, "batch latents"]:
        """Latents z, a differentiable function of standard normal noise."""

    @abstractmethod
    def kl(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"] | None:
        """KL(q(z_d|x) || p(z_d)) in nats; None for a family without one."""

    def traverse(
        self,
        codes: Float[np.ndarray, "samples latents"],
        frames: int,
        *,
        span: Span = "quantiles",
        extent: float | None = None,
        between: tuple[float, float] | None = None,
    ) -> Float[np.ndarray, "latents frames"]:
        """Values through which each latent is led, rising along a row.

        By default the quantiles of the codes themselves, from 1 % to 99 %: where the model really
        lives (`ml.objectives.posteriors.traversals.spanned`). `between` two plain numbers goes
        before the span.
        """
        if between is not None:
            return evenly(*between, latents=codes.shape[1], frames=frames)
        return spanned(codes, frames, span=span, extent=extent)

    def prior(
        self, latents: int, noise: Float[np.ndarray, "latents"] | None = None
    ) -> Float[np.ndarray, "latents"] | None:
        """The prior's mean, or a draw of it made of standard normal noise.

        None for a family without a prior. This one is standard normal.
        """
        return np.zeros(latents) if noise is None else noise
