"""Mutual information of a continuous number with classes, from distances to nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import digamma


@dataclass(frozen=True)
class Sorted:
    """The values of one column in rising order, and the order of the rows."""

    values: Float[np.ndarray, "samples"]
    order: Int[np.ndarray, "samples"]


def sorted_column(column: Float[np.ndarray, "samples"]) -> Sorted:
    """The column, sorted."""
    order = np.argsort(column, kind="stable")
    return Sorted(column[order], order)


def information_by_neighbours(
    column: Sorted, classes: Int[np.ndarray, "samples"], neighbours: int
) -> float:
    r"""Mutual information in nats of a number with classes, which is not negative.

    .. math:: \psi(N) + \langle \psi(k_i) \rangle - \langle \psi(N_i) \rangle
        - \langle \psi(m_i) \rangle

    where N_i is the number of rows of row i's class, k_i is `neighbours`, or N_i - 1 if that is
    less, and m_i is the number of rows, of any class and with row i, that are closer to it than its
    k_i-th neighbour of its own class. Rows that are alone in their class are left out of all
    counts. It is scikit-learn's `mutual_info_classif` without its jitter, except that for classes
    of at most 2 k rows scikit-learn rounds distances so that the neighbour itself may count as
    closer. Sorted values need no tree: a row's neighbours are beside it, so that it takes
    N (log N + k) steps.

    Ties make it wrong. Break them before, as scikit-learn does.

    References:
        Kraskov et al., 2004, https://arxiv.org/abs/cond-mat/0305641;
        Ross, 2014, https://doi.org/10.1371/journal.pone.0087357
    """
    values, own = column.values, classes[column.order]
    sizes = np.bincount(own)[own]
    if (sizes == 1).any():
        values, own, sizes = (part[sizes > 1] for part in (values, own, sizes))
    if not values.size:
        return 0.0
    # A stable sort keeps the values of each class in rising order.
    by_class = np.argsort(own, kind="stable")
    radius = np.empty_like(values)
    radius[by_class] = _distances(values[by_class], own[by_class], neighbours)
    k = np.minimum(neighbours, sizes - 1)
    closer = _closer_than(values, radius)
    found = digamma(len(values)) + (digamma(k) - digamma(sizes) - digamma(closer)).mean()
    return max(0.0, float(found))


def _distances(values: np.ndarray, classes: np.ndarray, neighbours: int) -> np.ndarray:
    """The distance of each row to its k-th neighbour in its class.

    Classes follow each other, each of them sorted. The k-th neighbour is the farther end of the
    tightest stretch of k + 1 rows that the row is in.
    """
    place = np.arange(len(values))
    starts = np.flatnonzero(np.r_[True, np.diff(classes) > 0])
    sizes = np.diff(np.r_[starts, len(values)])
    begin, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    k = np.minimum(neighbours, size - 1)
    found = np.full(len(values), np.inf)
    for below in range(int(k.max()) + 1):
        first = place - below
        last = first + k
        inside = (below <= k) & (first >= begin) & (last < begin + size)
        first, last = np.where(inside, first, place), np.where(inside, last, place)
        farther = np.maximum(values - values[first], values[last] - values)
        np.minimum(found, farther, out=found, where=inside)
    return found


def _closer_than(values: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How many of the sorted values are closer to each than its radius, with itself."""
    place = np.arange(len(values))
    first = np.minimum(np.searchsorted(values, values - radius), place)
    last = np.maximum(np.searchsorted(values, values + radius, side="right") - 1, place)
    # Sums are rounded, so that a value at just the radius may be on either side of it. Differences
    # are what distances were made of.
    while (out := (values - values[first] >= radius) & (first < place)).any():
        first[out] += 1
    while (more := (first > 0) & (values - values[np.maximum(first - 1, 0)] < radius)).any():
        first[more] -= 1
    top = len(values) - 1
    while (out := (values[last] - values >= radius) & (last > place)).any():
        last[out] -= 1
    while (more := (last < top) & (values[np.minimum(last + 1, top)] - values < radius)).any():
        last[more] += 1
    found: np.ndarray = last - first + 1
    return found
