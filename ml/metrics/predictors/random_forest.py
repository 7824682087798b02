"""Random forests, with depth and features a split chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ml.metrics.predictors.decision_tree import nodes_by_depth

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

DEPTHS = (8, 16, 32, 64, 128)
SHARES_OF_FEATURES = (0.2, 0.4, 0.8, 1.0)
TREES = 10


def fit_random_forest(
    codes: Float[np.ndarray, "samples latents"],
    factor: Float[np.ndarray, "samples"],
    *,
    folds: int,
    random_state: int,
    threads: int,
    continue_or_stop: Callable[[], None],
) -> RandomForestRegressor:
    """The forest of ten regression trees with the least mean squared error over unshuffled folds.

    The choice is among `DEPTHS` and `SHARES_OF_FEATURES`, and the first of equally good ones wins.
    Unlike in the code of Carbonneau et al., one forest is cut at each depth to judge all depths of
    a fold, in place of one forest for each depth. That is a fifth of the fits, and chance does not
    decide among depths that no tree reaches.
    """
    # The import is slow, and a process that only trains does not need it.
    from sklearn.model_selection import KFold

    columns = codes.astype(np.float32)
    errors = np.zeros((len(DEPTHS), len(SHARES_OF_FEATURES)))
    for fit, judged in KFold(folds).split(columns):
        for k, share in enumerate(SHARES_OF_FEATURES):
            model = _forest(DEPTHS[-1], share, random_state, threads)
            _grow(model, columns[fit], factor[fit], continue_or_stop)
            predicted = _predictions_by_depth(model, columns[judged])
            errors[:, k] += ((predicted - factor[judged]) ** 2).mean(1)
    depth, share_of = np.unravel_index(errors.argmin(), errors.shape)
    best = _forest(DEPTHS[depth], SHARES_OF_FEATURES[share_of], random_state, threads)
    return _grow(best, columns, factor, continue_or_stop)


def _forest(depth: int, share: float, random_state: int, threads: int) -> RandomForestRegressor:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        TREES,
        max_depth=depth,
        max_features=share,
        random_state=random_state,
        n_jobs=threads,
        warm_start=True,
    )


def _grow(
    forest: RandomForestRegressor,
    columns: np.ndarray,
    factor: np.ndarray,
    continue_or_stop: Callable[[], None],
) -> RandomForestRegressor:
    """Fit a forest, and ask whether to go on before each tree that a thread grows.

    The trees are the same as those of a single fit.
    """
    at_once = forest.n_jobs
    for number in range(at_once, TREES + at_once, at_once):
        continue_or_stop()
        forest.n_estimators = min(number, TREES)
        forest.fit(columns, factor)
    # Several threads would add their trees' predictions in the order in which they finish.
    forest.n_jobs = 1
    return forest


def _predictions_by_depth(forest: RandomForestRegressor, rows: np.ndarray) -> np.ndarray:
    """Predictions of the forest when it is cut at each of `DEPTHS`, (depths, samples)."""
    found = np.zeros((len(DEPTHS), len(rows)))
    for grown in forest.estimators_:
        tree = grown.tree_
        nodes = np.zeros(len(rows), dtype=np.int64)
        depth = 0
        for depth, nodes in enumerate(nodes_by_depth(tree, rows), start=1):
            if depth in DEPTHS:
                found[DEPTHS.index(depth)] += tree.value[nodes, 0, 0]
        deeper = [k for k, at in enumerate(DEPTHS) if at > depth]
        found[deeper] += tree.value[nodes, 0, 0]
    return found / len(forest.estimators_)
