"""Decision trees whose depth is chosen by cross-validation, without a fit for every depth."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

DEEPEST = 9


def nodes_by_depth(
    tree: Any, rows: Float[np.ndarray, "samples latents"]
) -> Iterator[Int[np.ndarray, "samples"]]:
    """The node of each row after 1, 2, … splits, until every row is in a leaf.

    `tree` is scikit-learn's `tree_`, and the rows are float32, as in scikit-learn. A tree of one
    depth is the top of a deeper tree, so one pass judges all depths at once.
    """
    at = np.zeros(len(rows), dtype=np.int64)
    every = np.arange(len(rows))
    for _ in range(tree.max_depth):
        # In a leaf the feature is -2 and the children are -1.
        left = rows[every, np.maximum(tree.feature[at], 0)] <= tree.threshold[at]
        below = np.where(left, tree.children_left[at], tree.children_right[at])
        at = np.where(below < 0, at, below)
        yield at


def stratified_folds(
    classes: Int[np.ndarray, "samples"], number: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit and rows to judge for each fold, unshuffled, with classes in proportion."""
    # The import is slow, and a process that only trains does not need it.
    from sklearn.model_selection import StratifiedKFold

    with warnings.catch_warnings():
        # Rare classes are missing from some folds, as in the published code.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(StratifiedKFold(number).split(np.zeros(len(classes)), classes))


def accuracy(
    code: Shaped[np.ndarray, "samples"],
    classes: Int[np.ndarray, "samples"],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> float:
    """Accuracy of a tree on one code, on the rows that it was fitted on.

    The depth, from 1 to 9, is the one of highest mean accuracy over the folds, and the smallest of
    equally good ones. The tree of this depth is fitted on all rows.
    """
    column = code.astype(np.float32)[:, None]
    judged = [_accuracies(column, classes, fit, held) for fit, held in folds]
    depth = int(np.argmax(np.mean(judged, axis=0)))
    every = np.arange(len(column))
    return float(_accuracies(column, classes, every, every)[depth])


def _accuracies(
    column: np.ndarray, classes: np.ndarray, fit: np.ndarray, judged: np.ndarray
) -> np.ndarray:
    """Accuracy on the rows `judged` with a tree of each depth fitted on the rows `fit`."""
    from sklearn.tree import DecisionTreeClassifier

    # With a single column no order of columns is drawn, so the seed decides nothing.
    model = DecisionTreeClassifier(max_depth=DEEPEST, random_state=0)
    model.fit(column[fit], classes[fit])
    predicted = model.classes_[model.tree_.value[:, 0].argmax(1)]
    grown = nodes_by_depth(model.tree_, column[judged])
    nodes = list(grown) or [np.zeros(len(judged), dtype=np.int64)]
    deepest = chain(nodes, repeat(nodes[-1]))
    return np.array([(predicted[at] == classes[judged]).mean() for at in islice(deepest, DEEPEST)])
