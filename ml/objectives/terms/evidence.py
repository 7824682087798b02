"""The two terms that every member of the family shares: reconstruction and KL."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ml.objectives.posteriors.protocol import Posterior
from ml.objectives.protocol import Networks


class Evidence(NamedTuple):
    """Means over a batch."""

    head: Tensor
    """The encoder's head, (samples, numbers)."""
    latents: Tensor
    """One sample of z for each image, (samples, latents)."""
    reconstruction: Tensor
    """-log p(x|z) in nats, a scalar."""
    kl_per_latent: Tensor
    """KL to the prior in nats, (latents,)."""

    @property
    def kl(self) -> Tensor:
        """KL of all latents to the prior in nats, a scalar."""
        return self.kl_per_latent.sum()

    def terms(self) -> dict[str, Tensor]:
        return {
            "reconstruction": self.reconstruction,
            "kl": self.kl,
            "elbo": -(self.reconstruction + self.kl),
            "kl_per_latent": self.kl_per_latent,
        }


def evidence(networks: Networks, posterior: Posterior, images: Tensor, noise: Tensor) -> Evidence:
    """Encode, sample once, decode, and take both terms as means over the batch."""
    head = networks.encode(images)
    latents = posterior.sample(head, noise)
    kl = posterior.kl(head)
    assert kl is not None, "this posterior has no KL: see ml/objectives/ae.py"
    return Evidence(head, latents, networks.reconstruction(latents, images).mean(), kl.mean(0))
