"""The maximum mean discrepancy between two samples."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Kernel = Literal["rbf", "imq"]
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def squared_discrepancy(
    one: Float[Tensor, "batch latents"], other: Float[Tensor, "batch latents"], kernel: Kernel
) -> Float[Tensor, ""]:
    r"""Squared MMD of two samples of equal size.

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} [k(x_i, x_j) + k(y_i, y_j)] -
        \frac{2}{n^2} \sum_{ij} k(x_i, y_j)

    The estimate is unbiased, so it can be a little below zero for samples of one distribution.
    """
    pairs = len(one) * (len(one) - 1)
    within = sum(
        _without_diagonal(kernel_matrix(rows, rows, kernel)).sum() for rows in (one, other)
    )
    return within / pairs - 2 * kernel_matrix(one, other, kernel).mean()


def kernel_matrix(
    one: Float[Tensor, "batch latents"], other: Float[Tensor, "batch latents"], kernel: Kernel
) -> Float[Tensor, "batch batch"]:
    r"""k(x_i, y_j) for a prior of variance one in D dimensions.

    - `rbf`: exp(-||x - y||^2 / 2D). 2D is the expected squared distance of two draws of the prior.
    - `imq`: the sum over s in 0.1, 0.2, 0.5, 1, 2, 5, 10 of C / (C + ||x - y||^2), C = 2 D s, as in
      the code of Wasserstein autoencoders. Its tails are heavier, so that it still pulls latents
      far from the prior.
    """
    # ||x - y||^2 is summed from differences, as rounding cannot make it negative then.
    distances = (one[:, None] - other[None]).square().sum(2)
    expected = 2.0 * one.shape[1]
    if kernel == "rbf":
        return (-distances / expected).exp()
    return sum(
        (expected * scale / (expected * scale + distances) for scale in SCALES), 0 * distances
    )


def _without_diagonal(matrix: Tensor) -> Tensor:
    return matrix - torch.diag(torch.diagonal(matrix))
