"""The DIP-VAE-I."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from ml.components.registry import register
from ml.objectives.protocol import KLWeight
from ml.objectives.terms.covariance import covariance
from ml.objectives.terms.dip_vae import DIPVAE


@register
class DIPVAEI(DIPVAE):
    r"""The VAE with posterior means that are to be uncorrelated and of variance one.

    .. math:: -\log p(x|z) + \mathrm{KL} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 +
        \lambda_d \sum_i (C_{ii} - 1)^2, \qquad C = \mathrm{Cov}_x[\mu(x)]

    with the batch's covariance of the posterior means, divided by the batch size as in the study's
    code.

    Choosing:
        `lambda_od` 1, 2, 5, 10, 20, 50 in the study, with `lambda_d` ten times as large. Every
        latent is kept in use, wanted or not. Only means are held: q(z), which has the variances of
        q(z|x) on top, is wider than the prior.

    Mistakes elsewhere:
        Means centred over latents in place of samples, and a covariance that is not divided by the
        batch size (AntixK/PyTorch-VAE, `models/dip_vae.py`).

    References:
        Kumar et al., 2018, https://arxiv.org/abs/1711.00848
    """

    name: Literal["dip_vae_i"] = "dip_vae_i"
    diagonal_factor: ClassVar[float] = 10.0

    def kl_weights(self) -> tuple[KLWeight, ...]:
        # Means of no variance are what it is against.
        return (KLWeight("lambda_d", "raise", "lambda_d"),)

    def covariance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "latents latents"]:
        return covariance(self.posterior.mean(head))
