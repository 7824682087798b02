"""The plain autoencoder."""

from __future__ import annotations

from typing import ClassVar, Literal

from ml.components.registry import register
from ml.objectives.posteriors.point import Point
from ml.objectives.posteriors.protocol import Posterior
from ml.objectives.protocol import Loss, Needs, Networks, Objective, Step


@register
class AE(Objective):
    r"""The reconstruction alone, by an encoder without noise: no regulariser, no prior.

    .. math:: -\log p(x \,|\, z = e(x))

    in nats a sample, summed over pixels and channels. There is no posterior to sample from and no
    evidence lower bound. So `elbo` gives the reconstruction only, and traversals are ordered by the
    deviation of the codes.

    Choosing:
        There is nothing to choose. The autoencoder shows which reconstruction an architecture can
        reach at all, and which scores a representation gets that was not trained to be
        disentangled.
    """

    name: Literal["ae"] = "ae"
    posterior: ClassVar[Posterior] = Point()

    def needs(self) -> Needs:
        return Needs(draws={})

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {}

    def loss(self, networks: Networks, step: Step) -> Loss:
        codes = networks.encode(step.inputs[0])
        reconstruction = networks.reconstruction(codes, step.images[0]).mean()
        return Loss(reconstruction, {"reconstruction": reconstruction})
