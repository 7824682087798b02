"""The Gaussian posterior with diagonal covariance and a standard normal prior."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from ml.objectives.posteriors.protocol import Posterior


class DiagonalGaussian(Posterior):
    """q(z|x) = N(mean, diag(exp(log_variance))), p(z) = N(0, I); the head is [mean, log_variance].

    References:
        Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114
    """

    numbers_per_latent: ClassVar[int] = 2
    head_in_torch: ClassVar[str] = "mean, log_variance = head.chunk(2, dim=1)"

    def mean(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        return head.chunk(2, dim=-1)[0]

    def log_variance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        return head.chunk(2, dim=-1)[1]

    def sample(
        self, head: Float[Tensor, "batch numbers"], noise: Float[Tensor, "batch latents"]
    ) -> Float[Tensor, "batch latents"]:
        mean, log_variance = head.chunk(2, dim=-1)
        return mean + (0.5 * log_variance).exp() * noise

    def kl(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch latents"]:
        mean, log_variance = head.chunk(2, dim=-1)
        # 0.5 * (mu^2 + sigma^2 - log sigma^2 - 1)
        return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
