"""Codes on a common scale, for predictors that depend on it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, Shaped, UInt


def standardised(
    codes: Shaped[np.ndarray, "samples latents"], fit: int
) -> Float[np.ndarray, "samples latents"]:
    """Each column less its mean and divided by its deviation, both taken over the first `fit` rows.

    A column that is constant on these rows is not divided, so that a predictor fitted on them sees
    zeros. disentanglement_lib divides it by its deviation of zero.
    """
    columns = codes.astype(np.float64)
    low, high = columns[:fit].min(0), columns[:fit].max(0)
    # Divide by the range first. The deviation of a constant column may come out as 1e-18 and not as
    # zero, and the squares of very large or small codes are beyond what float64 holds.
    columns = (columns - low) / np.where(high > low, high - low, 1.0)
    known = columns[:fit]
    scaled: np.ndarray = (columns - known.mean(0)) / np.where(high > low, known.std(0), 1.0)
    return scaled


def unit_interval(
    values: Shaped[np.ndarray, "samples columns"],
) -> Float[np.ndarray, "samples columns"]:
    """Each column moved and stretched onto [0, 1]. A constant column becomes 0."""
    if values.dtype.kind in "iu":
        values = above_least(values)
    columns = values.astype(np.float64)
    low, high = columns.min(0), columns.max(0)
    scaled: np.ndarray = (columns - low) / np.where(high > low, high - low, 1.0)
    return scaled


def unit_columns(
    values: Shaped[np.ndarray, "samples columns"],
) -> Float[np.ndarray, "samples columns"]:
    """Each column less its mean, scaled to length one. A constant column becomes 0.

    The products of such columns are their correlations.
    """
    # Onto [0, 1] first, as the squares of very large or small values are beyond float64.
    columns = unit_interval(values)
    columns -= columns.mean(0)
    lengths = np.linalg.norm(columns, axis=0)
    scaled: np.ndarray = columns / np.where(lengths > 0, lengths, 1.0)
    return scaled


def above_least(
    integers: Integer[np.ndarray, "samples *columns"],
) -> UInt[np.ndarray, "samples *columns"]:
    """The exact difference of each integer from the least of its column, as unsigned integers.

    Classes may be hashes beyond 2^53, where float64 does not distinguish neighbours. Their
    differences may be small all the same.
    """
    # Differences modulo 2^64 are right for any range.
    unsigned = integers.astype(np.uint64)
    found: np.ndarray = unsigned - integers.min(0).astype(np.uint64)
    return found
