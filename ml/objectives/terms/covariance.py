"""Penalties on a covariance matrix, for the DIP-VAEs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Penalties(NamedTuple):
    """Two scalars, not yet weighed."""

    off_diagonal: Float[Tensor, ""]
    r"""sum_{i != j} C_ij^2."""
    diagonal: Float[Tensor, ""]
    r"""sum_i (C_ii - 1)^2."""


def covariance(rows: Float[Tensor, "batch latents"]) -> Float[Tensor, "latents latents"]:
    """The covariance of a batch, divided by the batch size."""
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def penalties(matrix: Float[Tensor, "latents latents"]) -> Penalties:
    """How far a covariance matrix is from the identity."""
    diagonal = torch.diagonal(matrix)
    return Penalties(
        # The diagonal is removed first, as a difference of sums would leave rounding behind.
        (matrix - torch.diag(diagonal)).square().sum(),
        (diagonal - 1).square().sum(),
    )
