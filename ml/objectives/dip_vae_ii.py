"""The DIP-VAE-II."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ml.components.registry import register
from ml.objectives.terms.covariance import covariance
from ml.objectives.terms.dip_vae import DIPVAE


@register
class DIPVAEII(DIPVAE):
    r"""The VAE with a penalty for latents that are correlated or not of variance one.

    .. math:: -\log p(x|z) + \mathrm{KL} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 +
        \lambda_d \sum_i (C_{ii} - 1)^2, \qquad
        C = \mathrm{Cov}_x[\mu(x)] + E_x[\mathrm{diag}\,\sigma^2(x)]

    where C is the covariance of q(z) in a batch: the covariance of the means (divided by the batch
    size) plus the mean of the variances.

    Choosing:
        `lambda_od` is 1, 2, 5, 10, 20, 50 in the study, with `lambda_d` equal to it. The penalty
        does not distinguish a latent in use from noise of variance one that the decoder ignores. So
        look at the KL per latent, and at the scores of means and of samples.

    Mistakes elsewhere:
        AntixK/PyTorch-VAE (with exp(2 log_var) for the variance) and nmichlo/disent add the mean
        variance as one number to every entry of the covariance. The diagonal is then not that of
        q(z), and covariances are shifted off zero.

    References:
        Kumar et al., 2018, https://arxiv.org/abs/1711.00848
    """

    name: Literal["dip_vae_ii"] = "dip_vae_ii"
    diagonal_factor: ClassVar[float] = 1.0

    def covariance(self, head: Float[Tensor, "batch numbers"]) -> Float[Tensor, "latents latents"]:
        variances = self.posterior.log_variance(head).exp().mean(0)
        return covariance(self.posterior.mean(head)) + torch.diag(variances)
