"""The Ada-GVAE."""

from __future__ import annotations

from typing import Literal

from ml.components.registry import register
from ml.objectives.terms.pair_vae import PairVAE
from ml.objectives.terms.shared_posteriors import Numbers, mean_of_moments


@register
class AdaGVAE(PairVAE):
    r"""The beta-VAE on pairs of images that share most factors, with means of moments.

    .. math:: \tfrac12 \sum_{i=1,2} \left[ -\log p(x_i|z_i) +
        \beta \, \mathrm{KL}(\hat q(z|x_i) \,\|\, p(z)) \right]

    The images of a pair differ in `changed` factors. For each latent, the divergence
    KL(q(z_d|x_1) || q(z_d|x_2)) says how far apart the images are. Latents at least halfway between
    a pair's least and greatest divergence keep their posteriors. The others are shared, and both
    images get the average

    .. math:: \hat\mu = \frac{\mu_1 + \mu_2}{2}, \quad
        \hat\sigma^2 = \frac{\sigma_1^2 + \sigma_2^2}{2}

    Latents are sampled from these posteriors.

    Choosing:
        The study sweeps `beta` over 1, 2, 4, 6, 8, 16, with `changed` 1 or null. A batch is that
        many pairs, so a step takes twice the time of a beta-VAE's. The data set must have discrete
        factors, and enough of their combinations that partners exist. `known` gives the GVAE, whose
        latent k stands for factor k; it is the more supervised baseline.

    Differences:
        Here exactly `changed` factors take other values. The study's code draws values anew, which
        may be the same again, and changes one factor or `changed` of them with equal odds. It draws
        a null `changed` from 1 to all but one, as we do. Its divergence lacks the factor 1/2, which
        changes no choice. With known factors it passes on one of the changed factors only; here
        every changed factor keeps its posteriors.

    References:
        Locatello et al., 2020, https://arxiv.org/abs/2002.02886
        Hosoya, 2019, https://arxiv.org/abs/1809.02383
    """

    name: Literal["ada_gvae"] = "ada_gvae"

    def averaged(
        self, mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers
    ) -> tuple[Numbers, Numbers]:
        return mean_of_moments(mean, log_variance, mean_2, lv_2)
