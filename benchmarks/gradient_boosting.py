"""Our gradient boosting against scikit-learn's: CPU time, and whether the trees are the same.

Both fit each factor of synthetic codes, like those of a dSprites model, in turn and in this
process. The CPU time of the process is printed, without the time of numba's compiler.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product
from typing import TypeVar

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

from ml.metrics.predictors._gradient_boosting import GradientBoosting, fit
from ml.metrics.predictors._gradient_boosting._nodes import LEAF

SIZES = (3, 6, 40, 32, 32)
NAMES = ("shape", "scale", "orientation", "x", "y")
T = TypeVar("T")


def codes_like_dsprites(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes (rows, 10) that disentangle factors (rows, 5) of dSprites' sizes moderately.

    Orientation becomes its sine, its cosine and a second harmonic. Positions are rotated by 20
    degrees. Shape and scale leak into each other. Three codes are nearly dead.
    """
    draws = np.random.default_rng(seed)
    factors = np.stack([draws.integers(0, size, rows) for size in SIZES], axis=1)
    shape, scale, orientation, x, y = (factors / np.array(SIZES)).T * 2 - 1
    turn, angle = np.deg2rad(20), np.pi * orientation
    codes = np.stack(
        [
            np.sin(angle),
            np.cos(angle),
            0.5 * np.sin(2 * angle) + 0.2 * shape,
            np.cos(turn) * x - np.sin(turn) * y,
            np.sin(turn) * x + np.cos(turn) * y,
            shape + 0.3 * scale,
            scale + 0.3 * shape,
            0.02 * x,
            0.02 * scale,
            np.zeros(rows),
        ],
        axis=1,
    )
    return codes + 0.15 * draws.normal(size=codes.shape), factors


def cpu_seconds(work: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


def same_trees(ours: GradientBoosting, theirs: GradientBoostingClassifier) -> int:
    """How many trees have the same nodes, features and thresholds."""
    same = 0
    for place in product(*map(range, ours.trees.shape[:2])):
        nodes, tree = ours.trees[place], theirs.estimators_[place].tree_
        nodes = nodes[nodes["samples"] > 0]
        splits = nodes["left"] != LEAF
        same += (
            np.array_equal(nodes["left"], tree.children_left)
            and np.array_equal(nodes["right"], tree.children_right)
            and np.array_equal(nodes["feature"][splits], tree.feature[splits])
            and np.array_equal(nodes["threshold"][splits], tree.threshold[splits])
        )
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="2,000 rows, 10 iterations, 3 factors")
    arguments = parser.parse_args()
    rows, iterations, columns = (
        (2_000, 10, range(3)) if arguments.quick else (arguments.rows, 100, range(5))
    )
    codes, factors = codes_like_dsprites(2 * rows, arguments.seed)
    for classes in (2, 3):
        few = np.arange(30) % classes
        fit(codes[:30], few, random_state=0, n_estimators=1).predict(codes[:30])
    print(
        "| factor | values | scikit-learn, CPU s | ours, CPU s | ratio | ours, s | same trees"
        " | importances differ by | same predictions, new rows |"
    )
    print("| --- " * 9 + "|")
    total = np.zeros(2)
    for column in columns:
        x, y, unseen = codes[:rows], factors[:rows, column], codes[rows:]
        params = {"n_estimators": iterations, "random_state": arguments.seed}
        began = time.perf_counter()
        ours, fast = cpu_seconds(lambda: fit(x, y, threads=arguments.threads, **params))  # noqa: B023
        wall = time.perf_counter() - began
        theirs, slow = cpu_seconds(lambda: GradientBoostingClassifier(**params).fit(x, y))  # noqa: B023
        difference = np.abs(ours.feature_importances_ - theirs.feature_importances_).max()
        agree = (ours.predict(unseen) == theirs.predict(unseen)).sum()
        print(
            f"| {NAMES[column]} | {SIZES[column]} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f}"
            f" | {wall:.2f} | {same_trees(ours, theirs)} of {ours.trees[..., 0].size}"
            f" | {difference:.1e} | {agree} of {rows} |",
            flush=True,
        )
        total += slow, fast
    print(f"| all | | {total[0]:.2f} | {total[1]:.2f} | {total[0] / total[1]:.1f} | | | | |")


if __name__ == "__main__":
    main()
