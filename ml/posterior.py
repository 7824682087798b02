"""What an encoder's numbers mean: the posterior family of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from torch import Tensor


class Posterior(ABC):
    """A family of distributions q(z|x), one factor a latent.

    The family owns the encoder's head (how many numbers it has for each latent), how a sample is
    made from noise, the KL divergence to the prior, and the values through which a latent is
    led when it is traversed. Functions are pure and take the head as the encoder gave it,
    `(samples, numbers_per_latent * latents)`.
    """

    numbers_per_latent: ClassVar[int]

    @abstractmethod
    def mean(self, head: Tensor) -> Tensor:
        """The codes: posterior means, (samples, latents)."""

    @abstractmethod
    def log_variance(self, head: Tensor) -> Tensor:
        """Logarithm of the posterior variances, (samples, latents)."""

    @abstractmethod
    def sample(self, head: Tensor, noise: Tensor) -> Tensor:
        """Latents z, (samples, latents), a differentiable function of standard normal noise."""

    @abstractmethod
    def kl(self, head: Tensor) -> Tensor | None:
        """KL(q(z_d|x) || p(z_d)) in nats, (samples, latents); None for a family without one."""

    def traverse(self, codes: np.ndarray, frames: int) -> np.ndarray:
        """Values through which each latent is led, (latents, frames), rising along a row.

        Quantiles of the codes themselves, from 1 % to 99 %: where the model really lives.
        """
        quantiles: np.ndarray = np.quantile(codes, np.linspace(0.01, 0.99, frames), axis=0)
        return quantiles.T
