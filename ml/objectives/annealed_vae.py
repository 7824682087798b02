"""The VAE with a controlled capacity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field

from ml.components.registry import register
from ml.objectives.protocol import KLWeight, Loss, Networks, Objective, Step, Weight
from ml.objectives.terms.evidence import evidence


@register
class AnnealedVAE(Objective):
    r"""The VAE whose KL is held at a capacity that grows while it trains.

    .. math:: -\log p(x|z) + \gamma \, |\mathrm{KL}(q(z|x) \,\|\, p(z)) - C_t|, \qquad
        C_t = C \min(1, t / T)

    with C = `capacity` in nats and T = `anneal_steps`. KL is summed over latents and averaged over
    the batch before the absolute value is taken, as in the study's code.

    Choosing:
        `capacity` is how much information the codes may hold. The logarithm of the number of images
        that they should distinguish is a good first guess (dSprites: log 737,280 = 13.5 nats), and
        the study sweeps 5, 10, 25, 50, 75, 100. `gamma` (1000 in the paper and the study) only has
        to be large enough to hold the KL there. `anneal_steps` (100,000 in the study) should be
        well below the steps trained, or the capacity is never reached.

    Mistakes elsewhere:
        pythae (`disentangled_beta_vae`) raises the capacity once an epoch and not at every step,
        and takes the distance of each sample's KL.

    References:
        Burgess et al., 2018, https://arxiv.org/abs/1804.03599
    """

    name: Literal["annealed_vae"] = "annealed_vae"
    capacity: Annotated[float, Field(ge=0, le=1e4)] = 25.0
    """Nats of KL at the end of the annealing."""
    gamma: Weight = 1000.0
    """Weight of the KL's distance from the capacity."""
    anneal_steps: Annotated[float, Field(ge=1, le=1e7)] = 100_000.0
    """Steps in which the capacity grows from 0 to its end."""

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {
            "capacity": self.capacity,
            "gamma": self.gamma,
            "anneal_steps": self.anneal_steps,
        }

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return (KLWeight("capacity", "raise", "capacity"),)

    def unreached(self, steps: int) -> Mapping[str, str]:
        if self.anneal_steps <= steps:
            return {}
        reached = self.capacity * (steps - 1) / self.anneal_steps
        return {
            "anneal_steps": f"the capacity only grows to {reached:.3g} of {self.capacity:g} nats"
        }

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        given = step.coefficients
        # C_t = C min(1, t / T), where T may have a schedule that begins at 0
        passed = torch.clamp(step.done / given["anneal_steps"].clamp(min=1.0), max=1.0)
        capacity = given["capacity"] * passed
        distance = (terms.kl - capacity).abs()
        value = terms.reconstruction + given["gamma"] * distance
        return Loss(value, {**terms.terms(), "capacity": capacity})
