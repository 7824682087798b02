"""Time of each metric and of its reference on the same arrays, in turns in one process.

The reference does what published code does for that number, by scikit-learn: loops of
mutual_info_score, one LinearSVC for each code and factor, a grid search of trees. The arrays are
`tests/golden/p07_dsprites_mid.npz`: 10,000 rows, of which 7,500 train; 10 codes; factors of 3, 6,
40, 32 and 32 values. Times are CPU seconds of the process (one thread).

With `--uncertainty` ours are measured again with null and interval, which nobody else computes.
The seven metrics of information share theirs.

    OMP_NUM_THREADS=1 python -m benchmarks.metrics [--rounds 3] [--slow] [--uncertainty]
        [--only sap] [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler, minmax_scale
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
from ml import score

ARRAYS = Path(__file__).parent.parent / "tests" / "golden" / "p07_dsprites_mid.npz"
TRAIN = 7500

Arrays = tuple[np.ndarray, np.ndarray]
Reference = Callable[[np.ndarray, np.ndarray], float]


def matrix(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mutual information, (latents, factors), by loops."""
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    return np.array([[mutual_info_score(v, code) for v in factors.T] for code in binned])


def gap(scores: np.ndarray) -> float:
    ordered = np.sort(scores, axis=0)[::-1]
    return float((ordered[0] - ordered[1]).mean())


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    return gap(matrix(codes, factors) / [mutual_info_score(v, v) for v in factors.T])


def sap_linear_svm(codes: np.ndarray, factors: np.ndarray) -> float:
    def accuracy(code: np.ndarray, factor: np.ndarray) -> float:
        machine = LinearSVC(C=0.01, class_weight="balanced").fit(code[:TRAIN], factor[:TRAIN])
        return float((machine.predict(code[TRAIN:]) == factor[TRAIN:]).mean())

    return gap(np.array([[accuracy(code[:, None], v) for v in factors.T] for code in codes.T]))


def sap_decision_tree(codes: np.ndarray, factors: np.ndarray) -> float:
    def accuracy(code: np.ndarray, factor: np.ndarray) -> float:
        tree = DecisionTreeClassifier(random_state=0)
        search = GridSearchCV(tree, {"max_depth": list(range(1, 10))}, cv=10)
        return float((search.fit(code, factor).predict(code) == factor).mean())

    scaled = minmax_scale(codes)
    return gap(np.array([[accuracy(code[:, None], v) for v in factors.T] for code in scaled.T]))


def explicitness(codes: np.ndarray, factors: np.ndarray) -> float:
    scaled = StandardScaler().fit(codes[:TRAIN]).transform(codes)
    areas = []
    for factor in factors.T:
        model = LogisticRegression().fit(scaled[:TRAIN], factor[:TRAIN])
        given = model.predict_proba(scaled[TRAIN:])
        each = [
            roc_auc_score(factor[TRAIN:] == c, given[:, k]) for k, c in enumerate(model.classes_)
        ]
        areas.append(np.mean(each))
    return float(np.mean(areas))


def explicitness_one_vs_rest(codes: np.ndarray, factors: np.ndarray) -> float:
    scaled, areas = minmax_scale(codes), []
    for factor in factors.T:
        model = OneVsRestClassifier(LogisticRegression(class_weight="balanced"))
        given = model.fit(scaled, factor).predict_proba(scaled)
        areas.append(
            np.mean([roc_auc_score(factor == c, given[:, k]) for k, c in enumerate(model.classes_)])
        )
    return 2 * float(np.mean(areas)) - 1


def disentanglement(importance: np.ndarray) -> float:
    shares = importance / importance.sum(1, keepdims=True).clip(min=1e-30)
    entropies = -(shares * np.log(shares.clip(min=1e-30))).sum(1) / np.log(importance.shape[1])
    return float((1 - entropies) @ importance.sum(1) / importance.sum())


def dci_gradient_boosting(codes: np.ndarray, factors: np.ndarray) -> float:
    fits = [
        GradientBoostingClassifier(random_state=0).fit(codes[:TRAIN], v[:TRAIN]) for v in factors.T
    ]
    return disentanglement(np.stack([fit.feature_importances_ for fit in fits], axis=1))


def dci_lasso(codes: np.ndarray, factors: np.ndarray) -> float:
    alphas = {"alpha": [1e-4, 1e-3, 1e-2, 0.1, 0.2, 0.4, 0.8, 1.0]}
    columns = []
    for factor in minmax_scale(factors.astype(float)).T:
        search = GridSearchCV(
            Lasso(max_iter=5000), alphas, cv=KFold(10), scoring="neg_mean_squared_error"
        )
        columns.append(np.abs(search.fit(minmax_scale(codes), factor).best_estimator_.coef_))
    return disentanglement(np.stack(columns, axis=1))


def dci_random_forest(codes: np.ndarray, factors: np.ndarray) -> float:
    grid = {"max_depth": [8, 16, 32, 64, 128], "max_features": [0.2, 0.4, 0.8, 1.0]}
    columns = []
    for factor in minmax_scale(factors.astype(float)).T:
        search = GridSearchCV(
            RandomForestRegressor(10, random_state=0),
            grid,
            cv=KFold(10),
            scoring="neg_mean_squared_error",
        )
        columns.append(search.fit(minmax_scale(codes), factor).best_estimator_.feature_importances_)
    return disentanglement(np.stack(columns, axis=1))


PAIRS: list[tuple[dict[str, Any], str, Reference]] = [
    ({"name": "mig"}, "mig", mig),
    ({"name": "sap"}, "sap", sap_linear_svm),
    ({"name": "explicitness"}, "explicitness_test", explicitness),
    (
        {"name": "explicitness", "variant": "one_vs_rest"},
        "explicitness",
        explicitness_one_vs_rest,
    ),
    ({"name": "dci", "predictor": "lasso"}, "disentanglement", dci_lasso),
]
SLOW: list[tuple[dict[str, Any], str, Reference]] = [
    ({"name": "sap", "predictor": "decision_tree"}, "sap", sap_decision_tree),
    ({"name": "dci"}, "disentanglement", dci_gradient_boosting),
    ({"name": "dci", "predictor": "random_forest"}, "disentanglement", dci_random_forest),
]


INFORMATION = ["mig", "mig_sup", "rmig", "jemmig", "dcimig", "modularity", "med"]
QUICK_ROUNDS = 1


def seconds_of(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def compared(
    arrays: Arrays, metric: dict[str, Any], name: str, reference: Reference, number: int
) -> Row:
    """The value and the time of a number by us and by its reference."""

    values = {"ours": 0.0, "theirs": 0.0}

    def ours() -> None:
        found = score(*arrays, [metric], train_rows=TRAIN, uncertainty=False)
        values["ours"] = float({one.name: one.value for one in found}[name] or 0.0)

    def theirs() -> None:
        values["theirs"] = reference(*arrays)

    found = rounds(number, {"ours": lambda: seconds_of(ours), "theirs": lambda: seconds_of(theirs)})
    mine = Figure(found["ours"], "s", "less", places=3)
    slower = Figure(found["theirs"], "s", places=3)
    figures: dict[str, Figure | str | None] = {
        "value": Figure([values["ours"]], "", places=6),
        "of the reference": Figure([values["theirs"]], "", places=6),
        "ours": mine,
        "reference": slower,
        "as much as ours": slower.per(mine),
    }
    return Row([" ".join(metric.values()), name], figures)


def with_uncertainty(arrays: Arrays, metrics: list[Any], label: str, number: int) -> Row:
    """The time of values alone, and of values with nulls and intervals."""

    def scored(uncertainty: bool) -> float:
        def call() -> object:
            return score(*arrays, metrics, train_rows=TRAIN, uncertainty=uncertainty)

        return seconds_of(call)

    found = rounds(number, {"alone": lambda: scored(False), "whole": lambda: scored(True)})
    alone = Figure(found["alone"], "s", "less", places=3)
    whole = Figure(found["whole"], "s", "less", places=3)
    figures = {"values": alone, "with null and interval": whole, "as much": whole.per(alone)}
    return Row([label], figures)


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--slow", action="store_true", help="slow metrics, too, one round each")
    arguments.add_argument("--uncertainty", action="store_true", help="nulls and intervals, too")
    arguments.add_argument("--only", default="", help="only metrics whose name begins with this")
    given = arguments.parse_args()
    number = QUICK_ROUNDS if given.quick else given.rounds
    with np.load(ARRAYS) as stored:
        arrays = stored["codes"], stored["factors"]
    # Kernels are compiled, or read from the cache, before anything is timed.
    score(arrays[0][:300], arrays[1][:300] % 3, ["dci", "sap", "mig"], uncertainty=False)

    def chosen(label: str) -> bool:
        return label.startswith(given.only)

    command = "OMP_NUM_THREADS=1 python -m benchmarks.metrics"
    command += " --quick" if given.quick else f" --rounds {number}"
    command += " --slow" if given.slow else ""
    command += " --uncertainty" if given.uncertainty else ""
    values = [
        compared(
            arrays, metric, name, reference, number if (metric, name, reference) in PAIRS else 1
        )
        for metric, name, reference in PAIRS + (SLOW if given.slow else [])
        if chosen(" ".join(metric.values()))
    ]
    tables = [Table("metrics", command, ["metric", "number"], values)]
    if given.uncertainty or given.quick:
        several: list[tuple[str, list[Any], int]] = [
            ("information, all seven", INFORMATION, number)
        ]
        if not given.quick:
            several += [
                (" ".join(m.values()), [m], number) for m, *_ in PAIRS if m["name"] != "mig"
            ]
            if given.slow:
                several += [(" ".join(m.values()), [m], 1) for m, *_ in SLOW[:2]]
        whole = [
            with_uncertainty(arrays, metrics, label, turns)
            for label, metrics, turns in several
            if chosen(label)
        ]
        tables.append(Table("metrics, with uncertainty", command, ["metric"], whole))
    publish([table for table in tables if table.rows], given)


if __name__ == "__main__":
    main()
