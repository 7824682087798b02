"""The loss that the two DIP-VAEs share, which presses a covariance toward the identity."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from ml.objectives.protocol import Loss, Networks, Objective, Step, Weight
from ml.objectives.terms.covariance import penalties
from ml.objectives.terms.evidence import evidence


class DIPVAE(Objective):
    """A VAE with penalties on a covariance of the latents."""

    diagonal_factor: ClassVar[float]
    """The default of `lambda_d` is this multiple of `lambda_od`."""

    lambda_od: Weight = 10.0
    """Weight of the squared covariances of different latents."""
    lambda_d: Weight | None = None
    """Weight of the squared distance of the variances from 1. If null, it is the study's multiple
    of `lambda_od`."""

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        followed = self.diagonal_factor * self.lambda_od
        return {
            "lambda_od": self.lambda_od,
            "lambda_d": followed if self.lambda_d is None else self.lambda_d,
        }

    @abstractmethod
    def covariance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "latents latents"]:
        """The covariance that the penalties press toward the identity."""

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        found, weights = penalties(self.covariance(terms.head)), step.coefficients
        value = (
            terms.reconstruction
            + terms.kl
            + weights["lambda_od"] * found.off_diagonal
            + weights["lambda_d"] * found.diagonal
        )
        logged = {
            "covariance_off_diagonal": found.off_diagonal,
            "covariance_diagonal": found.diagonal,
        }
        return Loss(value, {**terms.terms(), **logged})
