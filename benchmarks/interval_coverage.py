"""How often the intervals of scores hold what they should, on synthetic codes.

For each metric: its expected value at this number of rows, from many fresh draws; then, for further
draws, whether the 95 % interval of each holds it. Also the interval's width beside the deviation
that fresh draws really have.

    python benchmarks/interval_coverage.py [--rows 1000] [--draws 200] [--metrics mig,sap,...]
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from ml.checked_rows import rows_of
from ml.metrics import _information_metric
from ml.score import metric_of

REPLICATES = 200
METRICS: dict[str, dict[str, str]] = {
    **{name: {"name": name} for name in ("mig", "mig_sup", "rmig", "jemmig", "dcimig")},
    **{name: {"name": name} for name in ("modularity", "med", "sap", "explicitness", "dci")},
    **{f"sap {p}": {"name": "sap", "predictor": p} for p in ("correlation", "linear_regression")},
    **{f"dci {p}": {"name": "dci", "predictor": p} for p in ("linear", "lasso")},
    "dci logistic_regression": {"name": "dci", "predictor": "logistic_regression"},
}


def draw(draws: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Five codes of three factors: one its own, two that mix two factors, one warped, one noise."""
    factors = np.stack([draws.integers(0, size, samples) for size in (3, 4, 5)], axis=1)
    noise = draws.normal(size=(samples, 5))
    first, second, third = factors.T
    codes = [
        first + 0.4 * noise[:, 0],
        second + 0.7 * third + 0.5 * noise[:, 1],
        np.sin(third) + 0.3 * noise[:, 2],
        noise[:, 3],
        0.2 * first + 0.5 * third + noise[:, 4],
    ]
    return np.stack(codes, axis=1), factors


def coverage(
    params: dict[str, str], samples: int, number: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Of each of a metric's numbers: share of intervals that hold it, and width over deviation."""
    metric, draws = metric_of(params), np.random.default_rng(seed)
    fresh: dict[str, list[float]] = defaultdict(list)
    for _ in range(number):
        for name, value in metric.values(rows_of(*draw(draws, samples))).items():
            fresh[name].append(value)
    held: dict[str, list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    for k in range(number):
        rows = rows_of(*draw(draws, samples), seed=k)
        values, half_widths = metric.values(rows), metric.half_widths(rows)
        for name, expected in fresh.items():
            held[name].append(abs(values[name] - np.mean(expected)) <= half_widths[name])
            widths[name].append(half_widths[name])
    return {
        # Trees learn few rows by heart, and then nothing varies.
        name: (
            float(np.mean(held[name])),
            float(np.mean(widths[name]) / (np.std(fresh[name]) or 1)),
        )
        for name in fresh
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1000)
    arguments.add_argument("--draws", type=int, default=200)
    arguments.add_argument("--metrics", default=",".join(METRICS))
    given = arguments.parse_args()
    _information_metric.MOST_REPLICATES = REPLICATES
    print(f"{given.rows} rows, {given.draws} draws\n")
    print("| metric | number | intervals that hold it | half width over deviation |")
    print("|---|---|---|---|")
    for label in given.metrics.split(","):
        for name, (held, width) in coverage(METRICS[label], given.rows, given.draws).items():
            if not name.startswith("error"):
                print(f"| {label} | {name} | {held:.1%} | {width:.2f} |", flush=True)


if __name__ == "__main__":
    main()
