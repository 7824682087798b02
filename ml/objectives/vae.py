"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from ml.objective import Batch, Coefficients, Draws, Loss, Networks, Objective, Update
from ml.objectives._evidence import evidence
from ml.registry import register


@register
class VAE(Objective):
    r"""The negative evidence lower bound: reconstruction plus KL.

    .. math:: -\log p(x|z) + \mathrm{KL}(q(z|x) \,\|\, p(z))

    in nats a sample, the reconstruction summed over pixels and channels, one sample of z.

    References:
        Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114
    """

    name: Literal["vae"] = "vae"

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {}

    def updates(self) -> tuple[Update, ...]:
        return (Update(self._loss),)

    def _loss(
        self,
        networks: Networks,
        batch: Batch,
        draws: Draws,
        coefficients: Coefficients,  # noqa: ARG002
        carry: Mapping[str, Tensor],  # noqa: ARG002
    ) -> Loss:
        terms = evidence(networks, self.posterior, batch.images[0], draws["noise"])
        return Loss(terms.reconstruction + terms.kl_per_latent.sum(), terms.terms())
