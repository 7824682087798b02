"""Groups of rows in which a factor, or all factors but one, keep their value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.metrics.information.mutual_information import factor_classes
from ml.metrics.protocol import ConstantFactor, Rows, UnfitFactor, UnusableRows


class Groups(NamedTuple):
    """Rows by factor and group, without groups of a single row."""

    order: Int[np.ndarray, "places"]
    """The rows of the first factor's groups, one after another, then of the second's, …"""
    group: Int[np.ndarray, "places"]
    """The group of each place, counted over all factors."""
    begin: Int[np.ndarray, "groups+1"]
    """Where each group begins, and the end of the last."""
    start: Int[np.ndarray, "factors+1"]
    """Where each factor begins, and the end of the last."""


def factor_labels(
    rows: Rows, bins: int | None, *, scaled: bool, param: str = "factor_bins"
) -> Int[np.ndarray, "factors samples"]:
    """The value of each factor as a number from 0, or its bin if `bins` is set.

    Raises:
        ConstantFactor: a factor has a single value, or all rows lie in one of its bins.
        UnfitFactor: a factor is continuous and `bins` is not set. `param` is its name.
    """
    for column, kind in enumerate(rows.factor_kinds):
        if kind == "continuous" and bins is None:
            why = f"is continuous and its rows share no values: set {param} to cut it into bins"
            raise UnfitFactor(rows.factor_names[column], column, why)
    found = factor_classes(rows, bins or 1, all_factors=bins is not None, scaled=scaled)
    for constant in np.flatnonzero(found.min(0) == found.max(0)):
        value = rows.factors[0, constant].item()
        raise ConstantFactor(rows.factor_names[constant], int(constant), value)
    return np.ascontiguousarray(found.T, dtype=np.int32)


def labels_of_the_others(
    labels: Int[np.ndarray, "factors samples"],
) -> Int[np.ndarray, "factors samples"]:
    """For each factor a number that is equal for rows that agree on all other factors."""
    sizes = [int(highest) + 1 for highest in labels.max(1)]
    found = np.empty_like(labels)
    for k in range(len(labels)):
        combination = np.zeros(labels.shape[1], dtype=np.int64)
        most: int = 1
        for other in range(len(labels)):
            if other == k:
                continue
            if most * sizes[other] > 4 * labels.shape[1] + 4:
                # Number only the combinations that occur.
                combination = np.unique(combination, return_inverse=True)[1]
                most = int(combination.max()) + 1
            combination = combination * sizes[other] + labels[other]
            most *= sizes[other]
        if most > 4 * labels.shape[1] + 4:
            combination = np.unique(combination, return_inverse=True)[1]
        found[k] = combination
    return found


def group(
    labels: Int[np.ndarray, "factors samples"], factor_names: tuple[str, ...], shared: str
) -> Groups:
    """The rows by group. `shared` says what rows of a group share, for the error.

    Raises:
        UnusableRows: no two rows are in one group of a factor.
    """
    # numba is imported by whoever computes, not by whoever lists the metrics.
    from ml.metrics.intervention import _kernels

    found = Groups(*_kernels.grouped(labels, labels.max(1).astype(np.int64) + 1))
    for k in np.flatnonzero(np.diff(found.start) == 0):
        raise UnusableRows(
            f"no two rows share {shared.format(repr(factor_names[k]))}, so there are no groups to"
            " compare: give more rows, or set factor_bins to a few bins"
        )
    return found


def unit_deviation(
    codes: Shaped[np.ndarray, "samples latents"],
) -> tuple[Float[np.ndarray, "samples latents"], Float[np.ndarray, "latents"]]:
    """Each column with a mean of 0 and a deviation of 1, and its deviation before (divisor n - 1).

    A constant column becomes 0, and its deviation is 0.
    """
    columns = codes.astype(np.float64)
    low, high = columns.min(0), columns.max(0)
    span = np.where(high > low, high - low, 1.0)
    # Divide by the range first, as squares of very small or large numbers are beyond float64.
    columns = (columns - low) / span
    columns -= columns.mean(0)
    deviations = np.where(high > low, columns.std(0, ddof=1), 0.0)
    return columns / np.where(deviations > 0, deviations, 1.0), deviations * span
