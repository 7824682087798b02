"""The two terms that all VAEs share: reconstruction and KL."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ml.objectives.posteriors.protocol import Posterior
from ml.objectives.protocol import Networks


class Evidence(NamedTuple):
    """The encoding of a batch, and the means of both terms over it."""

    head: Float[Tensor, "batch numbers"]
    """The encoder's head."""
    latents: Float[Tensor, "batch latents"]
    """One sample of z for each image."""
    reconstruction: Float[Tensor, ""]
    """-log p(x|z) in nats."""
    kl_per_latent: Float[Tensor, "latents"]
    """KL to the prior in nats."""

    @property
    def kl(self) -> Float[Tensor, ""]:
        """KL of all latents to the prior in nats."""
        return self.kl_per_latent.sum()

    def terms(self) -> dict[str, Tensor]:
        return {
            "reconstruction": self.reconstruction,
            "kl": self.kl,
            "elbo": -(self.reconstruction + self.kl),
            "kl_per_latent": self.kl_per_latent,
        }


def evidence(
    networks: Networks,
    posterior: Posterior,
    images: Float[Tensor, "batch channels height width"],
    noise: Float[Tensor, "batch latents"],
    inputs: Float[Tensor, "batch channels height width"] | None = None,
) -> Evidence:
    """Encode images, sample once, decode, and average both terms over the batch.

    `inputs` are what the encoder sees of the images. If not given, they are the images.
    """
    head = networks.encode(images if inputs is None else inputs)
    latents = posterior.sample(head, noise)
    kl = posterior.kl(head)
    assert kl is not None, "this posterior has no KL: see ml/objectives/ae.py"
    return Evidence(head, latents, networks.reconstruction(latents, images).mean(), kl.mean(0))
