"""The KL's three parts, estimated on a batch: mutual information, total correlation, the rest."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Estimator = Literal["minibatch", "mws", "mss"]


class KLParts(NamedTuple):
    """In nats, scalars. Their sum is the KL of the sampled latents, for every estimator."""

    mutual_information: Float[Tensor, ""]
    r"""I(z; x) = E[log q(z|x) - log q(z)]."""
    total_correlation: Float[Tensor, ""]
    r"""KL(q(z) || prod_d q(z_d))."""
    dimension_wise_kl: Float[Tensor, ""]
    r"""sum_d KL(q(z_d) || p(z_d))."""


def kl_parts(
    latents: Float[Tensor, "batch latents"],
    mean: Float[Tensor, "batch latents"],
    log_variance: Float[Tensor, "batch latents"],
    *,
    population: int,
    estimator: Estimator,
) -> KLParts:
    r"""The decomposition of Chen et al., of a Gaussian posterior with a standard normal prior.

    .. math:: \mathrm{KL} = \underbrace{E \log \frac{q(z|x)}{q(z)}}_{MI} +
        \underbrace{E \log \frac{q(z)}{\prod_d q(z_d)}}_{TC} +
        \underbrace{E \sum_d \log \frac{q(z_d)}{p(z_d)}}_{\text{dimension-wise}}

    with log q(z_j) estimated as logsumexp_i(log w_ji + log q(z_j | x_i)) over the batch, and each
    log q(z_jd) likewise; see `log_weights`.

    Args:
        latents: one sample of each image's posterior.
        mean: of the posteriors.
        log_variance: of the posteriors.
        population: how many images the data set has.
        estimator: how q(z) is estimated.
    """
    # log q(z_jd | x_i), (j, i, latents)
    densities = gaussian_log_density(latents[:, None], mean[None], log_variance[None])
    weights = log_weights(estimator, len(latents), population).to(latents)
    log_q_of_x = densities.diagonal(dim1=0, dim2=1).sum(0)
    log_q = torch.logsumexp(weights + densities.sum(2), dim=1)
    log_q_each = torch.logsumexp(weights[..., None] + densities, dim=1).sum(1)
    log_prior = gaussian_log_density(latents, 0 * latents, 0 * latents).sum(1)
    return KLParts(
        (log_q_of_x - log_q).mean(), (log_q - log_q_each).mean(), (log_q_each - log_prior).mean()
    )


def gaussian_log_density(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(value; mean, exp(log_variance)), elementwise."""
    # -0.5 * ((v - mu)^2 / sigma^2 + log sigma^2 + log 2 pi)
    squared = (value - mean).square() * (-log_variance).exp()
    return -0.5 * (squared + log_variance + math.log(2 * math.pi))


@lru_cache(maxsize=8)
def log_weights(estimator: Estimator, batch: int, population: int) -> Float[Tensor, "batch batch"]:
    r"""log w_ji: how posterior i counts in the estimate of q(z_j).

    - `minibatch`: w = 1, the study's own estimate with its constants dropped: (D - 1) log B below
      the estimate by means over the batch, for D latents and a batch of B.
    - `mws`, minibatch weighted sampling: w = 1 / (N B) with N the population: (D - 1) log N above
      the estimate by means over the batch.
    - `mss`, minibatch stratified sampling: with M = B - 1, row j has 1 / N at its own column,
      (N - M) / (N M) at one other and 1 / M elsewhere; rows sum to 1. Unbiased for q(z), if not for
      its logarithm, in batches drawn without replacement (`sampling: epochs`); the
      default draws with replacement, and the weights take no account of it. A batch of more
      samples than there are images is averaged: 1 / B each.

    The estimate by means over the batch is biased itself: each latent meets its own posterior at a
    weight of 1 / B where the population has 1 / N, the more so the narrower posteriors are. Adding
    (D - 1) log B to `minibatch` (or taking (D - 1) log N from `mws`) therefore gives no total
    correlation, but that estimate: 10.2 nats at B = 64 where 0.95 is true
    (docs/studies/family.md). Gradients of the first two are the same. The other column is the next
    one; any would do.
    """
    if estimator == "minibatch":
        return torch.zeros(batch, batch)
    if estimator == "mws":
        return torch.full((batch, batch), -math.log(population * batch))
    if population < batch:
        return torch.full((batch, batch), -math.log(batch))
    others = batch - 1
    weights = torch.full((batch, batch), 1 / others, dtype=torch.float64)
    own = torch.arange(batch)
    weights[own, own] = 1 / population
    weights[own, (own + 1) % batch] = (population - others) / (population * others)
    return weights.log()
