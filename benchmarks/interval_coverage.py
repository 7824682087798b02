"""How often intervals hold the score that they should, and how often noise is clear of its null.

Intervals: many fresh draws of synthetic codes give each metric's expected value at this number of
rows. For further draws the script counts how often their 95 % intervals hold that value, and
compares the width of the intervals with the deviation of fresh draws. `--tails 2` draws the noise
of the codes from Student's t with two degrees of freedom.

Nulls (`--nulls`): of draws whose codes are noise alone, the share that is clear of its null, which
should be 2.3 %. Beside it is the share that leads the mean of three permutations by two deviations.

    python -m benchmarks.interval_coverage [--rows 1000] [--draws 200] [--metrics mig,sap,...]
        [--tails 2] [--nulls]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.record import Figure, Row, Table, parser, publish
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows
from ml.evaluation.score import metric_of
from ml.metrics.information import information_metric as _information_metric
from ml.metrics.significance import is_clear, null_of

REPLICATES = 200
METRICS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ("mig", "mig_sup", "rmig", "jemmig", "dcimig")},
    **{name: {"name": name} for name in ("modularity", "med", "sap", "explicitness", "dci")},
    **{f"sap {p}": {"name": "sap", "predictor": p} for p in ("correlation", "linear_regression")},
    **{f"dci {p}": {"name": "dci", "predictor": p} for p in ("linear", "lasso")},
    "dci logistic_regression": {"name": "dci", "predictor": "logistic_regression"},
    "sap logistic_regression": {"name": "sap", "predictor": "logistic_regression"},
    "sap decision_tree": {"name": "sap", "predictor": "decision_tree"},
    **{
        f"explicitness {v}": {"name": "explicitness", "variant": v}
        for v in ("one_vs_rest", "binary")
    },
    **{f"mcc {c}": {"name": "mcc", "correlation": c} for c in ("pearson", "spearman")},
    **{f"r2 {p}": {"name": "r2", "predictor": p} for p in ("linear", "kernel_ridge")},
    **{name: {"name": name} for name in ("info_mec", "drvi")},
    "downstream": {"name": "downstream", "sizes": [10, 100]},
    **{name: {"name": name} for name in ("fairness", "strong_generalisation")},
    **{
        f"{name} logistic_regression": {"name": name, "predictor": "logistic_regression"}
        for name in ("fairness", "strong_generalisation")
    },
    "downstream logistic_regression": {
        "name": "downstream",
        "predictor": "logistic_regression",
        "sizes": [10, 100],
    },
    "dci random_forest": {"name": "dci", "predictor": "random_forest"},
    **{name: {"name": name} for name in ("mig_posterior", "aam", "elbo_decomposition")},
    **{name: {"name": name} for name in ("active_units", "unsupervised")},
    "elbo_decomposition stratified": {"name": "elbo_decomposition", "estimator": "stratified"},
    **{name: {"name": name} for name in ("irs", "factor_vae_score", "z_max_variance")},
    "beta_vae_score": {"name": "beta_vae_score"},
    "irs quantile 1": {"name": "irs", "quantile": 1.0},
    "factor_vae_score whole groups": {"name": "factor_vae_score", "batch": None},
    "z_max_variance whole groups": {"name": "z_max_variance", "batch": None},
}
DEVIATIONS = (0.4, 0.5, 0.3, 1.0, 1.0)
"""Deviations of the codes' noise, which are those of their posteriors, too."""


def draw(
    draws: np.random.Generator, samples: int, tails: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Five codes of three factors: one of a single factor, two that mix two, one warped, one noise.

    The noise is normal, or Student's t with `tails` degrees of freedom.
    """
    factors = np.stack([draws.integers(0, size, samples) for size in (3, 4, 5)], axis=1)
    shape = (samples, 5)
    noise = draws.normal(size=shape) if tails is None else draws.standard_t(tails, size=shape)
    first, second, third = factors.T
    codes = [first, second + 0.7 * third, np.sin(third), 0.0 * first, 0.2 * first + 0.5 * third]
    return np.stack(codes, axis=1) + noise * DEVIATIONS, factors


def scored_rows(codes: np.ndarray, factors: np.ndarray, seed: int) -> Rows:
    """The rows, with posteriors of the noise's deviation around the codes."""
    log_variance = np.broadcast_to(2 * np.log(DEVIATIONS), codes.shape)
    return rows_of(codes, factors, seed=seed, posterior_logvar=log_variance)


def coverage(
    labels: Sequence[str], samples: int, number: int, tails: float | None = None, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """For each number: the share of intervals that hold it, and half their width over deviation."""
    metrics = {label: metric_of(METRICS[label]) for label in labels}
    draws = np.random.default_rng(seed)
    fresh: dict[tuple[str, str], list[float]] = defaultdict(list)
    for k in range(number):
        # Seeds of their own, as they draw the posteriors' samples.
        rows = scored_rows(*draw(draws, samples, tails), number + k)
        for label, metric in metrics.items():
            for name, value in metric.values(rows).items():
                fresh[label, name].append(value)
    held: dict[tuple[str, str], list[bool]] = defaultdict(list)
    widths: dict[tuple[str, str], list[float]] = defaultdict(list)
    for k in range(number):
        # The metrics on the matrix share it and its replicates.
        rows = scored_rows(*draw(draws, samples, tails), k)
        for label, metric in metrics.items():
            values, half_widths = metric.values(rows), metric.half_widths(rows)
            for name, value in values.items():
                off = abs(value - np.mean(fresh[label, name]))
                held[label, name].append(off <= half_widths[name])
                widths[label, name].append(half_widths[name])
    return {
        # With few rows, trees fit all of them, and the number does not vary.
        key: (float(np.mean(held[key])), float(np.mean(widths[key]) / (np.std(fresh[key]) or 1)))
        for key in fresh
    }


def false_alarms(
    params: dict[str, Any], samples: int, number: int, seed: int = 0
) -> dict[str, tuple[int, float, float]]:
    """For each number of a metric on noise: how many permutations, and two shares of draws.

    The first share leads the mean of three permutations by two deviations. The second is clear by
    our own test.
    """
    metric, draws = metric_of(params), np.random.default_rng(seed)
    better = {one.name: one.higher_is_better for one in metric.reported()}
    found: dict[str, list[tuple[int, bool, bool]]] = defaultdict(list)
    for k in range(number):
        factors = np.stack([draws.integers(0, size, samples) for size in (3, 4, 5)], axis=1)
        rows = scored_rows(draws.normal(size=(samples, 5)), factors, k)
        nulls = metric.null(rows)
        for name, value in metric.values(rows).items():
            lead = (value - nulls[name][:3].mean()) * (1 if better[name] else -1)
            clear = is_clear(value, null_of(nulls[name]), higher_is_better=better[name])
            of_three = lead > 2 * nulls[name][:3].std(ddof=1)
            found[name].append((len(nulls[name]), of_three, clear is True))
    return {
        name: (several[0][0], *np.mean([one[1:] for one in several], axis=0).tolist())
        for name, several in found.items()
    }


def percent(share: float) -> Figure:
    return Figure([100 * share], "%")


def covered(labels: Sequence[str], rows: int, draws: int, tails: float | None) -> list[Row]:
    found = []
    for (label, name), (held, width) in coverage(labels, rows, draws, tails).items():
        if not name.startswith("error"):
            ratio = Figure([width], "", places=2)
            figures = {"intervals that hold it": percent(held), "half width over deviation": ratio}
            found.append(Row([label, name], figures))
    return found


def alarmed(labels: Sequence[str], rows: int, draws: int) -> list[Row]:
    found = []
    for label in labels:
        if not metric_of(METRICS[label]).needs_factors:
            continue
        alarms = false_alarms(METRICS[label], rows, draws)
        for name, (several, of_three, clear) in alarms.items():
            if name.startswith("error"):
                continue
            figures: dict[str, Figure | str | None] = {
                "permutations": Figure([several], "", places=0),
                "clear by 3 and 2 deviations": percent(of_three),
                "clear": percent(clear),
            }
            found.append(Row([label, name], figures))
            print(label, name, f"{clear:.1%}", flush=True)
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=1000)
    made.add_argument("--draws", type=int, help="(default 200)")
    made.add_argument("--metrics", help="labels with commas between (default: all)")
    made.add_argument("--tails", type=float)
    made.add_argument("--nulls", action="store_true")
    arguments = made.parse_args()
    _information_metric.MOST_REPLICATES = REPLICATES
    asked = arguments.metrics or ("mig,sap,modularity" if arguments.quick else ",".join(METRICS))
    draws = arguments.draws or (10 if arguments.quick else 200)
    labels = asked.split(",")
    command = f"python -m benchmarks.interval_coverage --rows {arguments.rows} --draws {draws}"
    if labels != list(METRICS):
        command += f" --metrics {asked}"
    name = f"interval_coverage {arguments.rows} rows"
    if arguments.nulls:
        rows = alarmed(labels, arguments.rows, draws)
        name, command = f"{name} nulls", f"{command} --nulls"
    else:
        rows = covered(labels, arguments.rows, draws, arguments.tails)
        if arguments.tails is not None:
            name = f"{name} tails {arguments.tails:g}"
            command += f" --tails {arguments.tails:g}"
    publish([Table(name, command, ["metric", "number"], rows)], arguments)


if __name__ == "__main__":
    main()
