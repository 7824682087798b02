"""The beta-VAE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from ml.objective import Batch, Coefficients, Draws, Loss, Networks, Objective, Update
from ml.objectives._evidence import evidence
from ml.registry import register

Weight = Annotated[float, Field(ge=0, le=1e6)]


@register
class BetaVAE(Objective):
    r"""The VAE with its KL weighed by beta.

    .. math:: -\log p(x|z) + \beta \, \mathrm{KL}(q(z|x) \,\|\, p(z))

    Larger beta presses the latents toward the prior: they become fewer and more independent, at the
    price of reconstruction. Give `beta`, or `beta_norm`, from which
    beta = beta_norm * pixels / latents (pixels count channels), as Higgins et al. normalise it.
    Neither given, beta is 4.

    References:
        Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl
    """

    name: Literal["beta_vae"] = "beta_vae"
    beta: Weight | None = None
    """Weight of the KL term; 1 is the VAE."""
    beta_norm: Weight | None = None
    """Weight of the KL term for one latent a pixel."""

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
            raise ValueError("give beta or beta_norm, not both")
        return self

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:
        if self.beta is not None:
            return {"beta": self.beta}
        assert self.beta_norm is not None
        return {"beta": self.beta_norm * pixels / latents}

    def updates(self) -> tuple[Update, ...]:
        return (Update(self._loss),)

    def _loss(
        self,
        networks: Networks,
        batch: Batch,
        draws: Draws,
        coefficients: Coefficients,
        carry: Mapping[str, Tensor],  # noqa: ARG002
    ) -> Loss:
        terms = evidence(networks, self.posterior, batch.images[0], draws["noise"])
        kl = terms.kl_per_latent.sum()
        return Loss(terms.reconstruction + coefficients["beta"] * kl, terms.terms())
