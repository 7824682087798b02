"""Penalties on a covariance matrix, for the DIP-VAEs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Penalties(NamedTuple):
    """Scalars, without their weights."""

    off_diagonal: Tensor
    r"""sum_{i != j} C_ij^2."""
    diagonal: Tensor
    r"""sum_i (C_ii - 1)^2."""


def covariance(rows: Tensor) -> Tensor:
    """The covariance of rows (samples, latents), with the number of samples as divisor."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def penalties(matrix: Tensor) -> Penalties:
    """How far a covariance matrix (latents, latents) is from the identity."""
    diagonal = torch.diagonal(matrix)
    return Penalties(
        # Without the diagonal, and not as a difference of sums, which would leave rounding behind.
        (matrix - torch.diag(diagonal)).square().sum(),
        (diagonal - 1).square().sum(),
    )
