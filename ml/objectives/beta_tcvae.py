"""The beta-TCVAE."""

from __future__ import annotations

from typing import Literal

from ml.components.registry import register
from ml.objectives.protocol import KLWeight, Loss, Networks, Objective, Step, Weight
from ml.objectives.terms.evidence import evidence
from ml.objectives.terms.kl_parts import Estimator, kl_parts


@register
class BetaTCVAE(Objective):
    r"""The VAE with the total correlation of its latents weighed by beta.

    .. math:: -\log p(x|z) + \mathrm{KL} + (\alpha - 1) \, I(z; x) +
        (\beta - 1) \, \mathrm{KL}(q(z) \,\|\, \textstyle\prod_d q(z_d)) +
        (\gamma - 1) \sum_d \mathrm{KL}(q(z_d) \,\|\, p(z_d))

    The three weighed terms add up to the KL, so that alpha, beta and gamma are their weights. The
    KL itself is in closed form, so only the differences from weight 1 rest on estimates. At 1, 1, 1
    the loss is the VAE's exactly, and with alpha = gamma = 1 and `estimator: minibatch` it is the
    study's.

    Choosing:
        Usually only `beta` is changed. It is 6 in the authors' own command for dSprites, and 1, 2,
        4, 6, 8, 10 in the study. If it is too large, latents switch off as in the beta-VAE. With
        `alpha` below 1, codes hold more of the image.

        Of the estimators, `minibatch` is the study's and `mws` the paper's. They have the same
        gradients, and their totals differ by a constant. Neither is a total correlation, even
        without that constant, as each latent meets its own posterior at a weight of 1 / B. Compare
        their curves only among runs of one batch size and one number of latents. `mss` is unbiased
        for q(z), though not for its logarithm, if batches are drawn without replacement
        (`sampling: epochs`; the default draws with replacement). On small batches of many images a
        model may train its estimate below zero, as measured in docs/studies/family.md.

    Mistakes elsewhere:
        rtqichen/beta-tcvae (its pull request 1) has 1 / N in the first column of the weight matrix
        of stratified sampling, in place of its diagonal. Nearly every sample's own posterior then
        counts as any other's. YannDubs/disentangling-vae (its issue 58), pythae and others copied
        this. A later disentangling-vae (its issue 60) adds the weights to each latent before the
        sum over latents, which counts them D times in log q(z). nmichlo/disent has
        beta KL + (beta - 1) TC, which weighs the total correlation twice, and rewards it with the
        default beta of 0.003.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942
    """

    name: Literal["beta_tcvae"] = "beta_tcvae"
    alpha: Weight = 1.0
    """Weight of the mutual information between image and latents."""
    beta: Weight = 6.0
    """Weight of the total correlation."""
    gamma: Weight = 1.0
    """Weight of the dimension-wise KL to the prior."""
    estimator: Estimator = "minibatch"
    """How q(z) is estimated from a batch."""

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return tuple(KLWeight(param, "lower", param) for param in ("beta", "gamma", "alpha"))

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        parts = kl_parts(
            terms.latents,
            self.posterior.mean(terms.head),
            self.posterior.log_variance(terms.head),
            population=step.population,
            estimator=self.estimator,
        )
        weights = step.coefficients
        value = (
            terms.reconstruction
            + terms.kl
            + (weights["alpha"] - 1) * parts.mutual_information
            + (weights["beta"] - 1) * parts.total_correlation
            + (weights["gamma"] - 1) * parts.dimension_wise_kl
        )
        return Loss(value, {**terms.terms(), **parts._asdict()})
