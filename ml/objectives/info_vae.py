"""The InfoVAE."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ml.components.registry import register
from ml.objectives.protocol import Draw, KLWeight, Loss, Needs, Networks, Objective, Step, Weight
from ml.objectives.terms.discrepancy import Kernel, squared_discrepancy
from ml.objectives.terms.evidence import evidence


@register
class InfoVAE(Objective):
    r"""The VAE with part of its KL replaced by a discrepancy between all codes and the prior.

    .. math:: -\log p(x|z) + (1 - \alpha) \, \mathrm{KL}(q(z|x) \,\|\, p(z)) +
        (\alpha + \lambda - 1) \, \mathrm{MMD}^2(q(z), p(z))

    with the squared maximum mean discrepancy between the batch's latents and as many draws of the
    prior, by the unbiased estimate. With alpha 0 and lambda_ 1 the loss is the VAE's.

    Choosing:
        `alpha` 0 keeps the whole KL. `alpha` 1 keeps none of it, and q(z|x) may then become as
        narrow as training makes it: this is the MMD-VAE. `lambda_` holds the codes' distribution at
        the prior. A squared MMD is below 2 and the reconstruction is hundreds of nats, so `lambda_`
        has an effect from some hundreds on.

    Differences:
        The author's code has the kernel exp(-d^2 / D^2), which is nearly flat for many latents
        (0.82 on average for draws of ten). It also keeps the diagonal, and averages the
        reconstruction over pixels.

        The paper allows any lambda_ above 0. If the discrepancy were the KL of q(z) itself, lambda_
        would be its net weight. Here it is an MMD, and a negative weight would reward distance from
        the prior. Such weights are refused: alpha + lambda_ is at least 1.

    Mistakes elsewhere:
        AntixK/PyTorch-VAE holds alpha at 0 and below, which leaves out the MMD-VAE.

    References:
        Zhao et al., 2017, https://arxiv.org/abs/1706.02262
    """

    name: Literal["info_vae"] = "info_vae"
    alpha: Annotated[float, Field(ge=-1e6, le=1)] = 0.0
    """Share of the KL that is left out."""
    lambda_: Weight = 1000.0
    """Weight of the divergence between all codes and the prior, as the paper counts it."""
    kernel: Kernel = "rbf"
    """Kernel of the discrepancy: rbf, or imq, which has heavier tails."""

    @model_validator(mode="after")
    def _discrepancy_is_not_rewarded(self) -> InfoVAE:
        if self.alpha + self.lambda_ < 1:
            raise ValueError(
                "alpha + lambda_ of at least 1, as the discrepancy's weight alpha + lambda_ - 1"
                " would be negative"
            )
        return self

    def needs(self) -> Needs:
        return Needs(draws={"noise": Draw("normal"), "prior": Draw("normal")})

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return (KLWeight("alpha", "raise", "alpha"),) if self.alpha < 1 else ()

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {"alpha": self.alpha, "lambda_": self.lambda_}

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        discrepancy = squared_discrepancy(terms.latents, step.draws["prior"], self.kernel)
        alpha, lambda_ = step.coefficients["alpha"], step.coefficients["lambda_"]
        # The params give a weight of at least 0, but coefficients may have schedules.
        weight = (alpha + lambda_ - 1).clamp(min=0)
        value = terms.reconstruction + (1 - alpha) * terms.kl + weight * discrepancy
        return Loss(value, {**terms.terms(), "squared_mmd": discrepancy})
