"""What a pixel is given the decoder's output: the likelihood p(x|z)."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Likelihood = Literal["bernoulli", "gaussian"]


def negative_log_likelihood(
    logits: Tensor, images: Tensor, likelihood: Likelihood, deviation: float = 1.0
) -> Tensor:
    r"""-log p(x|z) in nats of each sample, summed over pixels and channels.

    The mean of a pixel is the sigmoid of its logit in both.

    - `bernoulli`: the cross-entropy; for images that are not binary it is still the cross-entropy,
      as in the protocol of Locatello et al., and the images' own entropy is not subtracted.
    - `gaussian`: (x - mean)^2 / (2 s^2) + log s + log(2 pi) / 2 with the deviation s of a pixel.
      The constants are kept, so that the sum is a log density; most code drops them.
    """
    if likelihood == "bernoulli":
        costs = binary_cross_entropy_with_logits(logits, images, reduction="none")
    else:
        scaled = (images - logits.sigmoid()) / deviation
        costs = 0.5 * scaled.square() + (math.log(deviation) + 0.5 * math.log(2 * math.pi))
    return costs.flatten(1).sum(1)
