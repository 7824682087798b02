"""The FactorVAE."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ml.components.registry import register
from ml.objectives.protocol import (
    Draw,
    KLWeight,
    Loss,
    Needs,
    Networks,
    Objective,
    Step,
    Update,
    Weight,
)
from ml.objectives.terms.evidence import evidence
from ml.optimizers.adam import Adam
from ml.optimizers.protocol import Optimizer

DISCRIMINATOR = "discriminator"
WIDTH, DEPTH, SLOPE = 1000, 6, 0.2


@register
class FactorVAE(Objective):
    r"""The VAE with its latents' total correlation, as a discriminator sees it, weighed by gamma.

    .. math:: -\log p(x|z) + \mathrm{KL}(q(z|x) \,\|\, p(z)) +
        \gamma \, E[l_0(z) - l_1(z)]

    The discriminator's two logits separate latents z (class 0) from latents whose columns were
    permuted over a batch (class 1). At the discriminator's optimum, l_0 - l_1 is
    log q(z) / prod_d q(z_d), whose mean is the total correlation. The discriminator has six dense
    layers of 1,000 with leaky ReLU of slope 0.2. It learns by cross-entropy after each step of the
    model, on that step's latents, with its own Adam (betas 0.5 and 0.9), which follows the
    training's schedule and clipping.

    Choosing:
        `gamma` is 10, 20, 30, 40, 50, 100 in the study. A larger one needs a discriminator that
        keeps up: if its accuracy stays near 0.5 while latents are plainly dependent, raise its
        learning rate. `permute` is `same_batch` as in the study's code, or `second_batch` as in the
        paper, which encodes another batch (with the model just updated) for the permuted latents.

    Differences:
        The study's code clips the discriminator's probabilities to [1e-6, 1 - 1e-6]. We take the
        logarithm of the sigmoid, which needs no clipping. The study's code makes both updates in no
        fixed order; here the model is updated first, as in the paper. The study's code states no
        slope for leaky ReLU, and TensorFlow's default is 0.2, where torch's is 0.01.

    Mistakes elsewhere:
        AntixK/PyTorch-VAE permutes latents within each sample and not over the batch, and has the
        discriminator among the parameters of the model's optimizer. YannDubs/disentangling-vae (its
        issues 62 and 77) and pythae do not detach latents for the discriminator's loss, whose
        gradient then reaches the encoder with the opposite sign. These two also take half of each
        batch for either class, which halves the batch size. In disentanglement_lib both optimizers
        count the same global step, so that its 300,000 steps are, judging by the code, 150,000
        updates of each.

    References:
        Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983
    """

    name: Literal["factor_vae"] = "factor_vae"
    gamma: Weight = 30.0
    """Weight of the total correlation."""
    permute: Literal["same_batch", "second_batch"] = "same_batch"
    """The batch whose latents are permuted to be class 1."""
    discriminator_learning_rate: Annotated[float, Field(gt=0, le=100)] = 1e-4
    """Step size of the discriminator's Adam."""

    def needs(self) -> Needs:
        noise = {"noise": Draw("normal"), "order": Draw("permutations")}
        if self.permute == "same_batch":
            return Needs(draws=noise)
        return Needs(batches=2, draws={**noise, "second_noise": Draw("normal")})

    def extra_networks(self, latents: int) -> dict[str, nn.Module]:
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([latents, *[WIDTH] * DEPTH]):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
        return {DISCRIMINATOR: nn.Sequential(*layers, nn.Linear(WIDTH, 2))}

    def kl_weights(self) -> tuple[KLWeight, ...]:
        # The total correlation is a part of the KL.
        return (KLWeight("gamma", "lower", "gamma"),)

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {"gamma": self.gamma}

    def updates(self) -> tuple[Update, ...]:
        return Update(self.loss), Update(self.discriminator_loss, DISCRIMINATOR)

    def optimizers(self) -> Mapping[str, Optimizer]:
        rate = self.discriminator_learning_rate
        return {DISCRIMINATOR: Adam(learning_rate=rate, betas=(0.5, 0.9))}

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        correlation = _log_ratio(networks, terms.latents).mean()
        value = terms.reconstruction + terms.kl + step.coefficients["gamma"] * correlation
        return Loss(
            value,
            {**terms.terms(), "total_correlation": correlation},
            {"latents": terms.latents},
        )

    def discriminator_loss(self, networks: Networks, step: Step) -> Loss:
        """Half the cross-entropy of either class; no gradient reaches the encoder."""
        joint = step.carry["latents"]
        if self.permute == "same_batch":
            others = joint
        else:
            head = networks.encode(step.inputs[1])
            others = self.posterior.sample(head, step.draws["second_noise"])
        permuted = torch.gather(others, 0, step.draws["order"])
        of_joint, of_permuted = _log_ratio(networks, joint), _log_ratio(networks, permuted)
        # p_0 = sigmoid(l_0 - l_1), p_1 = sigmoid(l_1 - l_0)
        value = -0.5 * (logsigmoid(of_joint).mean() + logsigmoid(-of_permuted).mean())
        right = torch.cat([of_joint > 0, of_permuted < 0])
        return Loss(value, {"discriminator_accuracy": right.to(joint.dtype).mean()})


def _log_ratio(networks: Networks, latents: Tensor) -> Tensor:
    """l_0 - l_1 of each sample."""
    logits = networks.call(DISCRIMINATOR, latents)
    return logits[:, 0] - logits[:, 1]
