"""The loss that Ada-GVAE and Ada-ML-VAE share, of pairs of images that differ in few factors."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from ml.objectives.protocol import (
    Draw,
    KLWeight,
    Loss,
    Needs,
    Networks,
    Objective,
    Pairs,
    Step,
    Weight,
)
from ml.objectives.terms.shared_posteriors import Numbers, divergence, far_apart

MOST_FACTORS = 64


class PairVAE(Objective):
    """A beta-VAE on pairs, in which the posteriors of shared latents are averaged."""

    beta: Weight = 1.0
    """Weight of the KL term."""
    changed: Annotated[int, Field(ge=1, le=MOST_FACTORS)] | None = None
    """In how many factors the images of a pair differ. If null, it is drawn for each pair, from 1
    to all factors but one."""
    known: bool = False
    """Whether the loss is given which factors differ. Latent k then stands for factor k, and the
    latents beyond the factors are shared by every pair."""

    @abstractmethod
    def averaged(
        self, mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers
    ) -> tuple[Numbers, Numbers]:
        """Mean and log-variance of two posteriors' average."""

    def needs(self) -> Needs:
        noise = {"noise": Draw("normal"), "second_noise": Draw("normal")}
        return Needs(draws=noise, pairs=Pairs(self.changed, by_latent=self.known))

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return (KLWeight("beta", "lower", "beta"),)

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {"beta": self.beta}

    def loss(self, networks: Networks, step: Step) -> Loss:
        posterior = self.posterior
        heads = [networks.encode(inputs) for inputs in step.inputs[:2]]
        moments = [(posterior.mean(head), posterior.log_variance(head)) for head in heads]
        apart = self._apart(step, divergence(*moments[0], *moments[1]))
        shared = self.averaged(*moments[0], *moments[1])
        reconstruction: Float[Tensor, ""] = torch.zeros_like(step.done, dtype=shared[0].dtype)
        kl_per_latent = torch.zeros_like(shared[0][0])
        for own, images, noise in zip(
            moments, step.images[:2], ("noise", "second_noise"), strict=True
        ):
            mean, log_variance = (
                torch.where(apart, of_one, of_both)
                for of_one, of_both in zip(own, shared, strict=True)
            )
            head = torch.cat([mean, log_variance], dim=1)
            latents = posterior.sample(head, step.draws[noise])
            reconstruction = reconstruction + 0.5 * networks.reconstruction(latents, images).mean()
            kl = posterior.kl(head)
            assert kl is not None
            kl_per_latent = kl_per_latent + 0.5 * kl.mean(0)
        kl = kl_per_latent.sum()
        return Loss(
            reconstruction + step.coefficients["beta"] * kl,
            {
                "reconstruction": reconstruction,
                "kl": kl,
                "elbo": -(reconstruction + kl),
                "kl_per_latent": kl_per_latent,
                "shared_latents": (~apart).to(kl.dtype).sum(1).mean(),
            },
        )

    def _apart(self, step: Step, distances: Numbers) -> Bool[Tensor, "batch latents"]:
        """The latents that each pair does not share."""
        if not self.known:
            return far_apart(distances)
        assert step.changed is not None
        return pad(step.changed, (0, distances.shape[1] - step.changed.shape[1]))
