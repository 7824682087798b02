"""The beta-VAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator

from ml.components.registry import register
from ml.objectives.protocol import KLWeight, Loss, Networks, Objective, Step, Weight
from ml.objectives.terms.evidence import evidence


@register
class BetaVAE(Objective):
    r"""The VAE with its KL weighed by beta.

    .. math:: -\log p(x|z) + \beta \, \mathrm{KL}(q(z|x) \,\|\, p(z))

    Give either `beta` or `beta_norm`. The latter is normalised as by Higgins et al.: beta =
    beta_norm * pixels / latents, where pixels count channels. If neither is given, beta is 4.

    Choosing:
        A larger beta presses the latents toward the prior. They become fewer and more independent,
        at the price of reconstruction. The study sweeps 1, 2, 4, 6, 8, 16 on images of 64 x 64 with
        10 latents. If all latents collapse (their KL is near 0), lower beta or have it grow from
        zero (`training.coefficients`). `beta_norm` carries over between image sizes and numbers of
        latents. On 64 x 64 with 10 latents, beta 4 is a beta_norm of 0.0098.

    Mistakes elsewhere:
        AntixK/PyTorch-VAE takes a mean over pixels, and beta times 0.00025 times the KL, so that
        its beta is not the literature's. nmichlo/disent takes means over pixels and over latents,
        which is the normalised loss, in which 4 stands for 1,638. 1Konny/Beta-VAE takes the squared
        error without its half, which halves beta.

    References:
        Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl
    """

    name: Literal["beta_vae"] = "beta_vae"
    beta: Weight | None = None
    """Weight of the KL term. With 1 the loss is the VAE's."""
    beta_norm: Weight | None = None
    """Weight of the KL term in a model with as many latents as pixels."""

    @model_validator(mode="before")
    @classmethod
    def _beta_is_four_by_default(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        neither = data.get("beta") is None and data.get("beta_norm") is None
        return {**data, "beta": 4.0} if neither else data

    @model_validator(mode="after")
    def _one_of_the_two(self) -> BetaVAE:
        if self.beta is not None and self.beta_norm is not None:
            raise ValueError("beta or beta_norm, not both")
        return self

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return (KLWeight("beta_norm" if self.beta is None else "beta", "lower", "beta"),)

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:
        if self.beta is not None:
            return {"beta": self.beta}
        assert self.beta_norm is not None
        return {"beta": self.beta_norm * pixels / latents}

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        return Loss(terms.reconstruction + step.coefficients["beta"] * terms.kl, terms.terms())
