"""The Ada-ML-VAE."""

from __future__ import annotations

from typing import Literal

from ml.components.registry import register
from ml.objectives.terms.pair_vae import PairVAE
from ml.objectives.terms.shared_posteriors import Numbers, mean_of_precisions


@register
class AdaMLVAE(PairVAE):
    r"""The beta-VAE on pairs of images that share most factors, with means of precisions.

    The loss, the pairs and the choice of shared latents are those of `ada_gvae`. The posteriors of
    a shared latent are averaged by their precisions, so that the surer of the two counts for more:

    .. math:: \hat\sigma^2 = \frac{2 \sigma_1^2 \sigma_2^2}{\sigma_1^2 + \sigma_2^2}, \quad
        \hat\mu = \frac{\hat\sigma^2}{2} \left( \frac{\mu_1}{\sigma_1^2} +
        \frac{\mu_2}{\sigma_2^2} \right)

    Choosing:
        See `ada_gvae`. `known` gives the ML-VAE.

    Differences:
        Those of `ada_gvae`. The product of two Gaussians in Bouchacourt et al. has half of this
        variance. The factor 2 is that of the study's code; it keeps the variance of two posteriors
        that are the same.

    References:
        Locatello et al., 2020, https://arxiv.org/abs/2002.02886
        Bouchacourt et al., 2018, https://arxiv.org/abs/1705.08841
    """

    name: Literal["ada_ml_vae"] = "ada_ml_vae"

    def averaged(
        self, mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers
    ) -> tuple[Numbers, Numbers]:
        return mean_of_precisions(mean, log_variance, mean_2, lv_2)
