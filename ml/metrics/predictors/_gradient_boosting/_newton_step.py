r"""The predictions of a tree's leaves: one Newton step of the log loss in each leaf.

.. math:: \frac{K-1}{K} \frac{\sum_i g_i}{\sum_i p_i (1 - p_i)}, \qquad g_i = y_i - p_i

over the leaf's rows, with K classes. g is the negative gradient. y is 1 for rows of the tree's
class and 0 for others. p is the row's probability so far. Two classes share one tree, and the
factor is left out.

References:
    Friedman, Greedy function approximation: a gradient boosting machine, 2001, section 4.6,
    https://doi.org/10.1214/aos/1013203451;
    scikit-learn 1.9.1, ensemble/_gb.py
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ml.metrics.predictors._gradient_boosting._nodes import LEAF

_SMALLEST = 1e-150


@njit(nogil=True, cache=True, error_model="numpy")
def step(targets, labels, label, factor, learning_rate, work, nodes, raw):
    """Set the values of a grown tree's leaves, and add them to its class's `raw` predictions.

    `targets` are the negative gradients, (samples,), that the tree was grown on. `labels` are the
    rows' classes, and `label` is the class that counts as 1.
    """
    samples = len(targets)
    # The work arrays hold leaf after leaf, with each leaf's rows in their original order.
    cursor = np.zeros(len(nodes), np.int64)
    filled = 0
    for node in range(len(nodes)):
        if nodes[node].samples and nodes[node].left == LEAF:
            cursor[node] = filled
            filled += nodes[node].samples
    gradients, hessians = work.centred, work.weights
    for row in range(samples):
        leaf = work.leaf_of[row]
        place = cursor[leaf]
        cursor[leaf] += 1
        gradients[place] = targets[row]
        probability = np.float64(labels[row] == label) - targets[row]
        hessians[place] = probability * (1 - probability)
    for node in range(len(nodes)):
        if nodes[node].samples and nodes[node].left == LEAF:
            size = nodes[node].samples
            start = cursor[node] - size
            gradient = pairwise_sum(gradients, start, size) / size * factor
            hessian = pairwise_sum(hessians, start, size) / size
            nodes[node].value = gradient / hessian if abs(hessian) >= _SMALLEST else 0.0
    for row in range(samples):
        raw[row] += learning_rate * nodes[work.leaf_of[row]].value


@njit(nogil=True, cache=True, error_model="numpy")
def pairwise_sum(values, start, size):
    """The sum of `size` values from `start`, added in the same order as in numpy's `sum`.

    More than 128 values are halved, the first half to a multiple of eight, and the halves' sums are
    added. The function is not recursive, as numba crashes on recursive functions that come from its
    cache: https://github.com/numba/numba/issues/6061.

    References:
        numpy 2.4, _core/src/umath/loops_utils.h.src; Higham, The accuracy of floating point
        summation, 1993, https://doi.org/10.1137/0914050
    """
    # The second halves that wait, innermost last, and the sums of their first halves once known.
    starts, sizes = np.empty(64, np.int64), np.empty(64, np.int64)
    firsts, known = np.empty(64), np.zeros(64, np.bool_)
    waiting = 0
    while True:
        while size > 128:
            half = size // 2
            half -= half % 8
            starts[waiting], sizes[waiting] = start + half, size - half
            known[waiting] = False
            waiting += 1
            size = half
        total = _sum_of_few(values, start, size)
        while waiting and known[waiting - 1]:
            waiting -= 1
            total = firsts[waiting] + total
        if not waiting:
            return total
        firsts[waiting - 1], known[waiting - 1] = total, True
        start, size = starts[waiting - 1], sizes[waiting - 1]


@njit(nogil=True, cache=True, error_model="numpy")
def _sum_of_few(values, start, size):
    """Eight sums side by side, then the remaining values. Fewer than eight are added one by one."""
    if size < 8:
        total = 0.0
        for i in range(start, start + size):
            total += values[i]
        return total
    a, b, c, d = values[start], values[start + 1], values[start + 2], values[start + 3]
    e, f, g, h = values[start + 4], values[start + 5], values[start + 6], values[start + 7]
    whole = start + size // 8 * 8
    for i in range(start + 8, whole, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, start + size):
        total += values[i]
    return total
