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
    r"""The VAE with a penalty for posterior means that are correlated or not of variance one.

    .. math:: -\log p(x|z) + \mathrm{KL} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 +
        \lambda_d \sum_i (C_{ii} - 1)^2, \qquad C = \mathrm{Cov}_x[\mu(x)]

    where C is the covariance of the posterior means in a batch, divided by the batch size as in the
    study's code.

    Choosing:
        `lambda_od` is 1, 2, 5, 10, 20, 50 in the study, with `lambda_d` ten times as large. The
        penalty keeps every latent in use, whether it is needed or not. It holds the means only:
        q(z) has the variances of q(z|x) on top and is wider than the prior.

    Mistakes elsewhere:
        AntixK/PyTorch-VAE (`models/dip_vae.py`) centres means over latents in place of samples, and
        does not divide the covariance by the batch size.

    References:
        Kumar et al., 2018, https://arxiv.org/abs/1711.00848
    """

    name: Literal["dip_vae_i"] = "dip_vae_i"
    diagonal_factor: ClassVar[float] = 10.0

    def kl_weights(self) -> tuple[KLWeight, ...]:
        # This penalty counteracts means of no variance, as collapsed latents have.
        return (KLWeight("lambda_d", "raise", "lambda_d"),)

    def covariance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "latents latents"]:
        return covariance(self.posterior.mean(head))
