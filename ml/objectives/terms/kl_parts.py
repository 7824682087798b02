"""Mutual information, total correlation and dimension-wise KL: the KL's parts, for a batch."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Estimator = Literal["minibatch", "mws", "mss"]


class KLParts(NamedTuple):
    """Three scalars in nats. With every estimator they sum to the KL of the sampled latents."""

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
    r"""The decomposition of Chen et al. for a Gaussian posterior and a standard normal prior.

    .. math:: \mathrm{KL} = \underbrace{E \log \frac{q(z|x)}{q(z)}}_{MI} +
        \underbrace{E \log \frac{q(z)}{\prod_d q(z_d)}}_{TC} +
        \underbrace{E \sum_d \log \frac{q(z_d)}{p(z_d)}}_{\text{dimension-wise}}

    with log q(z_j) estimated as logsumexp_i(log w_ji + log q(z_j | x_i)) over the batch, and each
    log q(z_jd) likewise; see `log_weights`.

    Args:
        latents: one sample of each image's posterior.
        mean: the posteriors' means.
        log_variance: the logarithm of the posteriors' variances.
        population: how many images the data set has.
        estimator: how q(z) is estimated.
    """
    # log q(z_jd | x_i), (j, i, latents)
    densities = gaussian_log_density(latents[:, None], mean[None], log_variance[None])
    weights = log_weights(estimator, len(latents), population).to(latents)
    log_q_of_x = densities.diagonal(dim1=0, dim2=1).sum(0)
    log_q, log_q_each = log_mixtures(densities, weights)
    log_q_each = log_q_each.sum(1)
    log_prior = gaussian_log_density(latents, 0 * latents, 0 * latents).sum(1)
    return KLParts(
        (log_q_of_x - log_q).mean(), (log_q - log_q_each).mean(), (log_q_each - log_prior).mean()
    )


def log_mixtures(
    densities: Float[Tensor, "batch batch latents"], weights: Float[Tensor, "batch batch"]
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch latents"]]:
    """log q(z) of each sample, and log q(z_d) of each of its latents.

    `densities` are log q(z_jd | x_i), (j, i, latents), and `weights` those of `log_weights`.
    """
    return (
        torch.logsumexp(weights + densities.sum(2), dim=1),
        torch.logsumexp(weights[..., None] + densities, dim=1),
    )


def gaussian_log_density(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(value; mean, exp(log_variance)), elementwise."""
    # -0.5 * ((v - mu)^2 / sigma^2 + log sigma^2 + log 2 pi)
    squared = (value - mean).square() * (-log_variance).exp()
    return -0.5 * (squared + log_variance + math.log(2 * math.pi))


@lru_cache(maxsize=8)
def log_weights(estimator: Estimator, batch: int, population: int) -> Float[Tensor, "batch batch"]:
    r"""log w_ji: the weight of posterior i in the estimate of q(z_j).

    With D latents, a batch of B and a population of N images:

    - `minibatch`: w = 1. This is the study's own estimate with its constants dropped. Its total
      correlation is (D - 1) log B below the estimate by means over the batch.
    - `mws`, minibatch weighted sampling: w = 1 / (N B). Its total correlation is (D - 1) log N
      above the estimate by means over the batch. Its gradients are those of `minibatch`.
    - `mss`, minibatch stratified sampling: with M = B - 1, row j has 1 / N at its own column,
      (N - M) / (N M) at the next column and 1 / M elsewhere. Any other column would do in place of
      the next. Rows sum to 1. The estimate is unbiased for q(z), though not for its logarithm, in
      batches drawn without replacement (`sampling: epochs`). The default draws with replacement,
      which the weights ignore. If a batch has more samples than there are images, each weight is
      1 / B.

    The estimate by means over the batch is biased itself. Each latent meets its own posterior at a
    weight of 1 / B, where the population has 1 / N, and narrow posteriors make this worse. So
    `minibatch` plus (D - 1) log B (or `mws` less (D - 1) log N) is that biased estimate and no
    total correlation: it is 10.2 nats at B = 64 where 0.95 is true (docs/studies/family.md).
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
