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

    The three weighed terms add up to the KL, so that alpha, beta and gamma are their weights.
    Written with the KL in closed form, which the estimates need not carry: at 1, 1, 1 it is the VAE
    exactly, and with alpha = gamma = 1 and `estimator: minibatch` the study's loss.

    Choosing:
        `beta` alone is usually changed: 6 in the authors' own command for dSprites, 1, 2, 4, 6, 8,
        10 in the study. Too large, and latents switch off as in the beta-VAE. `alpha` below 1 lets
        codes hold more of the image. `estimator`: `minibatch` is the study's, `mws` the paper's:
        the same gradients, and totals that differ by a constant. Neither is a total correlation,
        nor becomes one when that constant is taken off: each latent meets its own posterior at a
        weight of 1 / B. Compare their curves among runs of one batch size and number of latents
        alone. `mss` is unbiased for q(z), not for its logarithm, and that in batches without
        replacement (`sampling: epochs`; the default draws with it): on small batches of many
        images a model may train its estimate below zero, as measured in docs/studies/family.md.

    Mistakes elsewhere:
        The weight matrix of stratified sampling with 1 / N in its first column in place of its
        diagonal (rtqichen/beta-tcvae, its pull request 1; copied by YannDubs/disentangling-vae, its
        issue 58, by pythae and others): nearly every sample's own posterior then counts as any
        other's. The weights added to each latent before the sum over latents (a later
        disentangling-vae, its issue 60), which counts them D times in log q(z). beta KL + (beta -
        1) TC (nmichlo/disent), which weighs the total correlation twice, and with its default beta
        of 0.003 rewards it.

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
        terms = evidence(networks, self.posterior, step.images[0], step.draws["noise"])
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
