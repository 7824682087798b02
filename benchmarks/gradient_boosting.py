"""Our gradient boosting against scikit-learn's: CPU time, and whether the trees are the same.

Both fit each factor of synthetic codes, like those of a dSprites model, in turn and in this
process. The CPU time of the process is told, without the time of numba's compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import TypeVar

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
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


def measured(
    codes: np.ndarray, factor: np.ndarray, number: int, threads: int, params: dict[str, int]
) -> tuple[Figure, Figure, dict[str, Figure | str | None]]:
    """CPU seconds of ours and of scikit-learn's, and how their fits to the first half differ."""
    x, unseen = np.split(codes, 2)
    y = factor[: len(x)]
    fits: dict[str, object] = {}

    def timed(name: str, work: Callable[[], object]) -> Callable[[], float]:
        def measure() -> float:
            fits[name], seconds = cpu_seconds(work)
            return seconds

        return measure

    found = rounds(
        number,
        {
            "ours": timed("ours", lambda: fit(x, y, threads=threads, **params)),
            "theirs": timed("theirs", lambda: GradientBoostingClassifier(**params).fit(x, y)),
        },
    )
    ours, theirs = fits["ours"], fits["theirs"]
    assert isinstance(ours, GradientBoosting) and isinstance(theirs, GradientBoostingClassifier)
    difference = np.abs(ours.feature_importances_ - theirs.feature_importances_).max()
    agree = (ours.predict(unseen) == theirs.predict(unseen)).sum()
    trees = ours.trees[..., 0].size
    return (
        Figure(found["ours"], "s", "less", places=3),
        Figure(found["theirs"], "s", places=2),
        {
            "same trees": f"{same_trees(ours, theirs):,} of {trees:,}",
            "importances differ by": f"{difference:.1e}",
            "same predictions": f"{agree:,} of {len(unseen):,}",
        },
    )


def cells(ours: Figure, theirs: Figure) -> dict[str, Figure | str | None]:
    ratios = [slow / fast for fast, slow in zip(ours.values, theirs.values, strict=True)]
    return {
        "scikit-learn, CPU": theirs,
        "ours, CPU": ours.beside(theirs),
        "scikit-learn over ours": Figure(ratios, "times", "more"),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=10_000)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--rounds", type=int, help="(default 1, of --quick 3)")
    arguments = made.parse_args()
    rows, iterations, columns, number = (
        (2_000, 10, range(3), 3) if arguments.quick else (arguments.rows, 100, range(5), 1)
    )
    number = arguments.rounds or number
    codes, factors = codes_like_dsprites(2 * rows, arguments.seed)
    for classes in (2, 3):
        few = np.arange(30) % classes
        fit(codes[:30], few, random_state=0, n_estimators=1).predict(codes[:30])
    params = {"n_estimators": iterations, "random_state": arguments.seed}
    lines, totals = [], np.zeros((2, number))
    for column in columns:
        ours, theirs, same = measured(codes, factors[:, column], number, arguments.threads, params)
        totals += ours.values, theirs.values
        labels = [NAMES[column], str(SIZES[column])]
        lines.append(Row(labels, cells(ours, theirs) | same))
        print(f"{NAMES[column]}: {theirs} and {ours} s", flush=True)
    ours, theirs = (Figure(seconds.tolist(), "s", places=2) for seconds in totals)
    lines.append(Row(["all", ""], cells(replace(ours, better="less"), theirs)))
    command = (
        f"python -m benchmarks.gradient_boosting --rows {rows} --threads {arguments.threads}"
        f" --rounds {number}{' --quick' * arguments.quick}"
    )
    publish([Table("gradient_boosting", command, ["factor", "values"], lines)], arguments)


if __name__ == "__main__":
    main()
