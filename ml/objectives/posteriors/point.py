"""The encoder of a deterministic autoencoder, as a posterior that is a point."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ml.objectives.posteriors.protocol import Posterior


class Point(Posterior):
    """q(z|x) has all its mass at the code; the head is the code.

    Its variance is zero, and it has no finite KL divergence to a prior, so there is no evidence
    lower bound either.
    """

    numbers_per_latent: ClassVar[int] = 1
    head_in_torch: ClassVar[str] = (
        "mean, log_variance = head, torch.full_like(head, -torch.inf)  # A point has no width."
    )

    def mean(self, head: Tensor) -> Tensor:
        return head

    def log_variance(self, head: Tensor) -> Tensor:
        return torch.full_like(head, -torch.inf)

    def sample(self, head: Tensor, noise: Tensor) -> Tensor:  # noqa: ARG002
        return head

    def kl(self, head: Tensor) -> None:  # noqa: ARG002
        return None

    def prior(self, latents: int, noise: np.ndarray | None = None) -> None:  # noqa: ARG002
        return None
