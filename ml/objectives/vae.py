"""The variational autoencoder."""

from __future__ import annotations

from typing import Literal

from ml.components.registry import register
from ml.objectives.protocol import Loss, Networks, Objective, Step
from ml.objectives.terms.evidence import evidence


@register
class VAE(Objective):
    r"""The negative evidence lower bound: reconstruction plus KL.

    .. math:: -\log p(x|z) + \mathrm{KL}(q(z|x) \,\|\, p(z))

    in nats a sample. The reconstruction is summed over pixels and channels, and takes one sample
    of z.

    Choosing:
        There is nothing to choose. The other objectives start from this one: `beta_vae` with
        beta 1, `beta_tcvae` with all ones, `factor_vae` with gamma 0, `dip_vae_i` and `dip_vae_ii`
        with zero weights and `info_vae` with alpha 0 and lambda_ 1 have the same loss.

    References:
        Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114
    """

    name: Literal["vae"] = "vae"

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {}

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        return Loss(terms.reconstruction + terms.kl, terms.terms())
