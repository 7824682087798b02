"""The posterior of a deterministic autoencoder, which is a point."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ml.objectives.posteriors.protocol import Posterior


class Point(Posterior):
    """q(z|x) has all its mass at the code, and the head is the code.

    Its variance is zero, and it has no finite KL divergence to a prior, so there is no evidence
    lower bound either.
    """

    numbers_per_latent: ClassVar[int] = 1
    head_in_torch: ClassVar[str] = (
        "mean, log_variance = head, torch.full_like(head, -torch.inf)  # A point has no width."
    )

    def mean(self, head: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch latents"]:
        return head

    def log_variance(self, head: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch latents"]:
        return torch.full_like(head, -torch.inf)

    def sample(
        self,
        head: Float[Tensor, "batch latents"],
        noise: Float[Tensor, "batch latents"],  # noqa: ARG002
    ) -> Float[Tensor, "batch latents"]:
        return head

    def kl(self, head: Float[Tensor, "batch latents"]) -> None:  # noqa: ARG002
        return None

    def prior(self, latents: int, noise: Float[np.ndarray, "latents"] | None = None) -> None:  # noqa: ARG002
        return None
