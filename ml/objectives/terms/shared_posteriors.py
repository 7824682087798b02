"""Posteriors of a pair of images that share some of their latents."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Numbers = Float[Tensor, "batch latents"]


def divergence(mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers) -> Numbers:
    r"""KL of one Gaussian to another, of each latent, in nats.

    .. math:: \tfrac12 \left( \frac{v_1 + (\mu_1 - \mu_2)^2}{v_2} - 1 + \log v_2 - \log v_1 \right)
    """
    apart = (mean - mean_2).square()
    return 0.5 * ((log_variance - lv_2).exp() + apart * (-lv_2).exp() - 1 + lv_2 - log_variance)


def far_apart(distances: Numbers) -> Bool[Tensor, "batch latents"]:
    """The latents of each pair that are at least halfway from its least to its greatest distance.

    With equal distances these are all latents.
    """
    halfway = 0.5 * (distances.amax(1, keepdim=True) + distances.amin(1, keepdim=True))
    return distances >= halfway


def mean_of_moments(
    mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers
) -> tuple[Numbers, Numbers]:
    """The Gaussian whose mean and variance are the means of those of two Gaussians (GVAE).

    Returns its mean and the logarithm of its variance.
    """
    return 0.5 * (mean + mean_2), torch.logaddexp(log_variance, lv_2) - math.log(2)


def mean_of_precisions(
    mean: Numbers, log_variance: Numbers, mean_2: Numbers, lv_2: Numbers
) -> tuple[Numbers, Numbers]:
    r"""The Gaussian whose precision is the mean of those of two Gaussians (ML-VAE).

    .. math:: v = \frac{2 v_1 v_2}{v_1 + v_2}, \quad
        \mu = \frac{\mu_1 v_2 + \mu_2 v_1}{v_1 + v_2}

    Returns its mean and the logarithm of its variance.
    """
    share = torch.sigmoid(lv_2 - log_variance)  # v_2 / (v_1 + v_2)
    averaged = math.log(2) + log_variance + lv_2 - torch.logaddexp(log_variance, lv_2)
    return share * mean + (1 - share) * mean_2, averaged
