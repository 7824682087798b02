"""A grown tree as an array of nodes: following it, and what it says of the features."""

from __future__ import annotations

import numpy as np
from numba import njit

#: A node of a tree, in depth-first order, left child first. `left` and `right` are LEAF in leaves;
#: `impurity` is the targets' variance within the node; `value` their mean, or, in a leaf, what it
#: predicts; `samples` is how many rows it holds, 0 where a tree has fewer nodes than there is room
#: for.
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
    """Add to `raw` (trees, samples) what each of the trees (trees, nodes) predicts for each row.

    `columns` are (features, samples) in single precision, as thresholds were made for.
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
    """Write to `decreases` (trees, features) by how much splits on each feature lower the variance.

    In each tree of (trees, nodes), weighted by the nodes' shares of the rows.
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
