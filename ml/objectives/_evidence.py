"""The two terms that every member of the family shares: reconstruction and KL."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ml.objective import Networks
from ml.posterior import Posterior


def bernoulli_cross_entropy(logits: Tensor, images: Tensor) -> Tensor:
    """-log p(x|z) in nats of each sample: cross-entropy summed over pixels and channels.

    For images that are not binary it is still the cross-entropy, as in the protocol of Locatello
    et al.; the entropy of the images themselves is not subtracted.
    """
    return binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


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

    def terms(self) -> dict[str, Tensor]:
        kl = self.kl_per_latent.sum()
        return {
            "reconstruction": self.reconstruction,
            "kl": kl,
            "elbo": -(self.reconstruction + kl),
            "kl_per_latent": self.kl_per_latent,
        }


def evidence(networks: Networks, posterior: Posterior, images: Tensor, noise: Tensor) -> Evidence:
    """Encode, sample once, decode, and take both terms as means over the batch."""
    head = networks.encode(images)
    latents = posterior.sample(head, noise)
    reconstruction = bernoulli_cross_entropy(networks.decode(latents), images).mean()
    return Evidence(head, latents, reconstruction, posterior.kl(head).mean(0))
