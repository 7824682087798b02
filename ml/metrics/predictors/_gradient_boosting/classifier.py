"""Gradient boosting of classification trees."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.metrics.predictors._gradient_boosting._grow import Workspace, grow, most_nodes, workspace
from ml.metrics.predictors._gradient_boosting._log_loss import (
    many_class_gradients,
    prior,
    probabilities,
    two_class_gradients,
)
from ml.metrics.predictors._gradient_boosting._newton_step import step
from ml.metrics.predictors._gradient_boosting._nodes import (
    LEAF,
    NODE,
    add_predictions,
    impurity_decreases,
)

#: A fit asks at least this often whether to go on, or after each tree if one takes longer.
_SECONDS_BETWEEN_QUESTIONS = 0.25


class SingleClass(ValueError):
    """All rows have the same label, so there is nothing to classify."""

    def __init__(self, label: object) -> None:
        super().__init__(f"all labels are {label!r}; boosting needs at least two classes")


@dataclass(frozen=True, eq=False)
class GradientBoosting:
    """A fitted ensemble. Attributes that scikit-learn has as well have its names."""

    classes_: Int[np.ndarray, "classes"]
    """The labels, ascending."""
    feature_importances_: Float[np.ndarray, "features"]
    """Each feature's share of the decrease in variance over all splits, (features,). The shares sum
    to 1, or are all 0 if no tree has a split."""
    trees: Shaped[np.ndarray, "iterations trees nodes"]
    """(iterations, trees an iteration, nodes) of `_nodes.NODE`. An iteration has one tree for each
    class, or a single tree with two classes."""
    prior: Float[np.ndarray, "trees"]
    """Raw predictions before the first iteration."""
    learning_rate: float
    fitted: Float[np.ndarray, "trees samples"]
    """Raw predictions of the rows of the fit, which it computes anyway. There is one for each class
    and row, or, with two classes, one for each row."""

    def decision_function(
        self,
        x: Shaped[np.ndarray, "samples features"],
        *,
        continue_or_stop: Callable[[], None] = lambda: None,
    ) -> Float[np.ndarray, "samples *classes"]:
        """Raw predictions of each class. With two classes, log-odds without an axis of classes."""
        raw = self._raw(x, continue_or_stop)
        return raw[0] if len(raw) == 1 else raw.T

    def predict_proba(
        self,
        x: Shaped[np.ndarray, "samples features"],
        *,
        continue_or_stop: Callable[[], None] = lambda: None,
    ) -> Float[np.ndarray, "samples classes"]:
        """Probabilities of the classes."""
        return probabilities(self._raw(x, continue_or_stop))

    def predict(
        self,
        x: Shaped[np.ndarray, "samples features"],
        *,
        continue_or_stop: Callable[[], None] = lambda: None,
    ) -> Int[np.ndarray, "samples"]:
        """The most likely label of each row."""
        return self._likeliest(self._raw(x, continue_or_stop))

    def predict_fitted(self) -> Int[np.ndarray, "samples"]:
        """`predict` of the rows of the fit, at no cost."""
        return self._likeliest(self.fitted)

    def _likeliest(self, raw: np.ndarray) -> np.ndarray:
        likeliest = raw[0] >= 0 if len(raw) == 1 else raw.argmax(axis=0)
        labels: np.ndarray = self.classes_[likeliest.astype(np.intp)]
        return labels

    def _raw(self, x: np.ndarray, continue_or_stop: Callable[[], None]) -> np.ndarray:
        columns = _columns(x)
        if len(columns) != len(self.feature_importances_):
            raise ValueError(
                f"expected {len(self.feature_importances_)} features, got {len(columns)}"
            )
        raw = np.repeat(self.prior[:, None], columns.shape[1], axis=1)
        for trees in self.trees:
            continue_or_stop()
            add_predictions(columns, trees, self.learning_rate, raw)
        return raw


def fit(
    x: np.ndarray,
    y: np.ndarray,
    *,
    random_state: int,
    n_estimators: int = 100,
    learning_rate: float = 0.1,
    max_depth: int = 3,
    threads: int = 1,
    continue_or_stop: Callable[[], None] = lambda: None,
) -> GradientBoosting:
    r"""Boost trees on the log loss, as scikit-learn's GradientBoostingClassifier does.

    With its defaults and the same `random_state`, importances and predictions are the same. Trees
    are the same to the last bit (scikit-learn 1.9 on x86-64) if each feature has a different value
    in each row, or a single value in all rows. Rows of equal value may add up in another order
    here, which changes the last bits. These decide if two splits are equally good, and trees then
    differ as scikit-learn's own do from one `random_state` to another.

    Args:
        x: (samples, features), converted to single precision.
        y: (samples,) integer labels.
        threads: how many trees of an iteration grow at a time. The result does not depend on it.
        continue_or_stop: called before each iteration and, in a long one, between trees every
            quarter of a second. If it raises, the fit ends.

    Raises:
        SingleClass: all labels are the same.
        ValueError: shapes are wrong, labels are no integers, or values are not finite.

    References:
        Friedman, Greedy function approximation: a gradient boosting machine, 2001,
        https://doi.org/10.1214/aos/1013203451
    """
    columns = _columns(x)
    labels = np.asarray(y)
    if labels.shape != columns.shape[1:] or labels.dtype.kind not in "biu":
        raise ValueError(
            f"y must be {columns.shape[1]} integers, got {labels.dtype} of shape {labels.shape}"
        )
    classes, labels = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise SingleClass(classes[0].item())
    two = len(classes) == 2
    start = prior(labels, len(classes))
    raw = np.repeat(start[:, None], len(labels), axis=1)
    gradients = np.empty_like(raw)
    sorted_rows = np.argsort(columns, axis=1, kind="stable").astype(np.uint32)
    trees = np.zeros((n_estimators, len(raw), most_nodes(len(labels), max_depth)), NODE)
    # scikit-learn draws a seed for each tree in turn.
    seeds = np.random.RandomState(random_state).randint(0, 2**31 - 1, size=trees.shape[:2])
    factor = 1.0 if two else (len(classes) - 1) / len(classes)
    free: SimpleQueue[Workspace] = SimpleQueue()
    for _ in range(max(1, threads)):
        free.put(workspace(*columns.shape))

    def one_tree(place: tuple[int, int]) -> None:
        work = free.get()
        nodes, k = trees[place], place[1]
        grow(columns, sorted_rows, gradients[k], seeds[place], max_depth, work, nodes)
        label = 1 if two else k
        step(gradients[k], labels, label, factor, learning_rate, work, nodes, raw[k])
        free.put(work)

    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        for i in range(n_estimators):
            continue_or_stop()
            asked = time.monotonic()
            (two_class_gradients if two else many_class_gradients)(raw, labels, gradients)
            places = [(i, k) for k in range(len(raw))]
            for _ in pool.map(one_tree, places) if pool else map(one_tree, places):
                if time.monotonic() - asked > _SECONDS_BETWEEN_QUESTIONS:
                    continue_or_stop()
                    asked = time.monotonic()
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    importances = _importances(trees, len(columns))
    return GradientBoosting(classes, importances, trees, start, learning_rate, raw)


def _columns(x: np.ndarray) -> np.ndarray:
    """The features (features, samples) in single precision, as scikit-learn compares them."""
    x = np.asarray(x)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x must be (samples, features), got shape {x.shape}")
    with np.errstate(over="ignore"):
        # Always copy, as numba would compile once more for read-only arrays.
        columns = np.array(x.T, dtype=np.float32, order="C")
    if not np.isfinite(columns).all():
        raise ValueError("x has values that are not finite in single precision")
    return columns


def _importances(trees: np.ndarray, features: int) -> np.ndarray:
    # As in scikit-learn, trees without a split do not count.
    with_split = trees[trees["left"][..., 0] != LEAF]
    if not len(with_split):
        return np.zeros(features)
    decreases = np.empty((len(with_split), features))
    impurity_decreases(with_split, decreases)
    mean = decreases.mean(axis=0)
    shares: np.ndarray = mean / mean.sum()
    return shares
