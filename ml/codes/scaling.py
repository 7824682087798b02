"""Codes on a common scale, for predictors that depend on it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, Shaped, UInt


def standardised(
    codes: Shaped[np.ndarray, "samples latents"], fit: int
) -> Float[np.ndarray, "samples latents"]:
    """Each column less its mean, divided by its standard deviation, both of the first `fit` rows.

    A column that is constant there is not divided, as disentanglement_lib does to its undoing: a
    predictor fitted on these rows then sees zeros.
    """
    columns = codes.astype(np.float64)
    low, high = columns[:fit].min(0), columns[:fit].max(0)
    # By the range first: a constant column's deviation may come out as 1e-18 and not as zero, and
    # the squares of very large or small codes are beyond what numbers hold.
    columns = (columns - low) / np.where(high > low, high - low, 1.0)
    known = columns[:fit]
    scaled: np.ndarray = (columns - known.mean(0)) / np.where(high > low, known.std(0), 1.0)
    return scaled


def unit_interval(
    values: Shaped[np.ndarray, "samples columns"],
) -> Float[np.ndarray, "samples columns"]:
    """Each column moved and stretched onto [0, 1]; a constant one becomes 0."""
    if values.dtype.kind in "iu":
        values = above_least(values)
    columns = values.astype(np.float64)
    low, high = columns.min(0), columns.max(0)
    scaled: np.ndarray = (columns - low) / np.where(high > low, high - low, 1.0)
    return scaled


def above_least(
    integers: Integer[np.ndarray, "samples *columns"],
) -> UInt[np.ndarray, "samples *columns"]:
    """By how much each integer exceeds the least of its column, exactly, as unsigned integers.

    Numbers of a class may be hashes beyond 2^53, above which float64 does not tell neighbours
    apart; their differences may be small all the same.
    """
    # Differences modulo 2^64 are right whatever the range.
    unsigned = integers.astype(np.uint64)
    found: np.ndarray = unsigned - integers.min(0).astype(np.uint64)
    return found
