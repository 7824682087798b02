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


@njit(nogil=True, cache=True, error_model="numpy")
def add_predictions(columns, trees, learning_rate, raw):
    """Add to `raw` (trees, samples) the predictions of `trees` (trees, nodes) for each row.

    `columns` are (features, samples) in single precision, as the thresholds require.
    """
    for k in range(len(trees)):
        nodes = trees[k]
        for row in range(columns.shape[1]):
            node = 0
            while nodes[node].left != LEAF:
                goes_left = columns[nodes[node].feature, row] <= nodes[node].threshold
                node = nodes[node].left if goes_left else nodes[node].right
            raw[k, row] += learning_rate * nodes[node].value


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
