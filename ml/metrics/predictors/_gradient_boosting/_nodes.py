"""A grown tree as an array of nodes: its predictions, and its features' importances."""

from __future__ import annotations

import numpy as np
from numba import njit

#: A node of a tree. Nodes are in depth-first order, left child first. `left` and `right` are LEAF
#: in leaves. `impurity` is the targets' variance within the node. `value` is their mean, or a
#: leaf's prediction. `samples` is the number of rows, or 0 in places that a tree leaves empty.
NODE = np.dtype(
    [
        ("left", np.int32),
        ("right", np.int32),
        ("feature", np.int32),
        ("samples", np.int32),
        ("threshold", np.float64),
        ("impurity", np.float64),
        ("value", np.float64),
    ],
    align=True,
)
LEAF = -1
_ROWS = 1024
"""Rows whose places in a tree stay in the processor's nearest cache."""


@njit(nogil=True, cache=True, error_model="numpy")
def add_predictions(columns, trees, learning_rate, raw):
    """Add to `raw` (trees, samples) the predictions of `trees` (trees, nodes) for each row.

    `columns` are (features, samples) in single precision, as the thresholds require.

    All rows pass a tree together, split by split: those that have come to the split move on to one
    of its children. A parent stands before its children, so all rows end in leaves. No row waits
    for a branch to be guessed, and many rows are compared at a time.
    """
    at = np.empty(_ROWS, np.int32)
    for start in range(0, columns.shape[1], _ROWS):
        rows = min(_ROWS, columns.shape[1] - start)
        for k in range(len(trees)):
            nodes = trees[k]
            at[:rows] = 0
            for node in range(len(nodes)):
                if nodes[node].samples and nodes[node].left != LEAF:
                    column = columns[nodes[node].feature, start : start + rows]
                    threshold = nodes[node].threshold
                    left, right, here = nodes[node].left, nodes[node].right, np.int32(node)
                    for row in range(rows):
                        child = left if column[row] <= threshold else right
                        at[row] = child if at[row] == here else at[row]
            some = raw[k, start : start + rows]
            for row in range(rows):
                some[row] += learning_rate * nodes[at[row]].value


@njit(nogil=True, cache=True, error_model="numpy")
def impurity_decreases(trees, decreases):
    """Write to `decreases` (trees, features) how much splits on each feature lower the variance.

    `trees` are (trees, nodes). Each split is weighted by its node's share of the rows.
    """
    decreases[:] = 0.0
    for k in range(len(trees)):
        nodes = trees[k]
        for node in nodes:
            if node.samples and node.left != LEAF:
                left, right = nodes[node.left], nodes[node.right]
                decreases[k, node.feature] += (
                    node.samples * node.impurity
                    - left.samples * left.impurity
                    - right.samples * right.impurity
                )
        decreases[k] /= nodes[0].samples
