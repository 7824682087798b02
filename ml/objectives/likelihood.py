"""The likelihood p(x|z): how a pixel is distributed given the decoder's output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Likelihood = Literal["bernoulli", "gaussian"]


def likelihood_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The likelihood that a resolved spec trains with, on which every reconstruction depends.

    Sums of -log p(x|z) under different likelihoods cannot be compared. A Bernoulli likelihood sums
    probabilities, and a Gaussian one sums densities, which the deviation of a pixel scales.
    """
    training = spec["training"]
    if training["likelihood"] == "bernoulli":
        return {"likelihood": "bernoulli"}
    return {
        "likelihood": training["likelihood"],
        "pixel_deviation": float(training["pixel_deviation"] or 1.0),
    }


def negative_log_likelihood(
    logits: Float[Tensor, "batch channels height width"],
    images: Float[Tensor, "batch channels height width"],
    likelihood: Likelihood,
    deviation: float = 1.0,
) -> Float[Tensor, "batch"]:
    r"""-log p(x|z) in nats of each sample, summed over pixels and channels.

    In both likelihoods the mean of a pixel is the sigmoid of its logit.

    - `bernoulli`: the cross-entropy. Images that are not binary have the same formula, as in the
      protocol of Locatello et al., and their own entropy is not subtracted.
    - `gaussian`: (x - mean)^2 / (2 s^2) + log s + log(2 pi) / 2 with the deviation s of a pixel.
      The constants are kept, so that the sum is a log density. Most published code drops them.
    """
    if likelihood == "bernoulli":
        costs = binary_cross_entropy_with_logits(logits, images, reduction="none")
    else:
        scaled = (images - logits.sigmoid()) / deviation
        costs = 0.5 * scaled.square() + (math.log(deviation) + 0.5 * math.log(2 * math.pi))
    return costs.flatten(1).sum(1)
