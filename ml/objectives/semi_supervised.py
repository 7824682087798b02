"""The semi-supervised beta-VAE."""

from __future__ import annotations

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ml.components.registry import register
from ml.objectives.protocol import (
    KLWeight,
    Labels,
    Loss,
    Needs,
    Networks,
    Objective,
    Step,
    Update,
    Weight,
)
from ml.objectives.terms.evidence import evidence

HEAD = "head"
MOST_FACTORS = 64
MOST_LABELS = 1_000_000

FactorName = Annotated[str, Field(min_length=1, max_length=100)]
FactorNames = Annotated[tuple[FactorName, ...], Field(min_length=1, max_length=MOST_FACTORS)]


@register
class SemiSupervised(Objective):
    r"""The beta-VAE with a supervised loss on a few labelled images.

    .. math:: -\log p(x|z) + \beta \, \mathrm{KL}(q(z|x) \,\|\, p(z)) +
        w \sum_k \left[ -y_k \log s(l_k) - (1 - y_k) \log (1 - s(l_k)) \right]

    with the sigmoid s and the labels y of a second batch. This batch is drawn at each step from
    `labels` images, which the run's seed chooses once. y_k is the number of factor k's value by how
    many values it has, or the place of a continuous factor between its least and greatest value.
    The logits l_k come from the posterior means of the labelled images:

    - head `latents`: l_k is the mean of latent k, so that latent k stands for factor k.
    - head `linear`: l_k is a linear function of all means, learnt as well. The latents then need
      hold the factors only together. The head learns after each step of the model, on that step's
      means, from the same loss without its weight.

    Choosing:
        The study has 100 or 1,000 labelled images. Its weight of 1 is a `weight` of 64 here, see
        below. A larger one fits the labels sooner, and with few labels fits them alone. With `beta`
        0 and a large weight the encoder is a regression.

    Differences:
        The study's code sums the supervised loss over the batch, while its other terms are means
        over it. Here all terms are means, so its weight corresponds to ours by the batch size, 64.
        It also offers squared errors, covariances and embeddings in place of the cross-entropy. The
        linear head is ours.

    References:
        Locatello et al., 2020, https://arxiv.org/abs/1905.01258
    """

    name: Literal["semi_supervised"] = "semi_supervised"
    beta: Weight = 1.0
    """Weight of the KL term."""
    weight: Weight = 64.0
    """Weight of the supervised loss."""
    labels: Annotated[int, Field(ge=1, le=MOST_LABELS)] = 1000
    """How many images have labels. They are drawn among those whose factors are all known."""
    factors: FactorNames | None = None
    """The labelled factors. If null, they are all that the data set has. Head linear must have
    them listed."""
    head: Literal["latents", "linear"] = "latents"
    """Whether each factor has a latent of its own, or is a linear function of all latents."""

    @model_validator(mode="after")
    def _factors_are_listed(self) -> SemiSupervised:
        if self.factors is not None and len(set(self.factors)) < len(self.factors):
            raise ValueError("factors that differ from each other")
        if self.head == "linear" and self.factors is None:
            raise ValueError("factors with head linear, which has an output for each of them")
        return self

    def needs(self) -> Needs:
        return Needs(labels=Labels(self.labels, self.factors, by_latent=self.head == "latents"))

    def extra_networks(self, latents: int) -> dict[str, nn.Module]:
        if self.head == "latents":
            return {}
        assert self.factors is not None
        return {HEAD: nn.Linear(latents, len(self.factors))}

    def kl_weights(self) -> tuple[KLWeight, ...]:
        return (KLWeight("beta", "lower", "beta"),)

    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:  # noqa: ARG002
        return {"beta": self.beta, "weight": self.weight}

    def updates(self) -> tuple[Update, ...]:
        model = Update(self.loss)
        return (model,) if self.head == "latents" else (model, Update(self.head_loss, HEAD))

    def loss(self, networks: Networks, step: Step) -> Loss:
        terms = evidence(
            networks, self.posterior, step.images[0], step.draws["noise"], step.inputs[0]
        )
        means = self.posterior.mean(networks.encode(step.inputs[1]))
        supervised = self._supervised(networks, means, step)
        weights = step.coefficients
        return Loss(
            terms.reconstruction + weights["beta"] * terms.kl + weights["weight"] * supervised,
            {**terms.terms(), "supervised": supervised},
            {"means": means},
        )

    def head_loss(self, networks: Networks, step: Step) -> Loss:
        """The supervised loss on the means of the model's update, which get no gradient."""
        return Loss(self._supervised(networks, step.carry["means"], step))

    def _supervised(
        self, networks: Networks, means: Float[Tensor, "batch latents"], step: Step
    ) -> Float[Tensor, ""]:
        """The cross-entropy, summed over factors, as a mean over the batch."""
        labels = step.labels
        assert labels is not None
        logits = means[:, : labels.shape[1]]
        if self.head == "linear":
            logits = networks.call(HEAD, means)
        entropies = binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return entropies.sum(1).mean()
