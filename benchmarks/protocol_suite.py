"""Seconds of the whole protocol suite on one model, with nulls and intervals, beside references.

The suite is what Locatello et al. compute for each model, by their settings: BetaVAE score,
FactorVAE score, MIG, modularity, explicitness, SAP, DCI by gradient boosting, IRS and the
unsupervised scores, on 10,000 and 5,000 rows. Ours come with null and interval; the time without
them is beside it. The references do what published code does with the same rows: loops over points,
codes and factors, by numpy and scikit-learn, one value each. They are given the codes, whereas the
published ones encode 64 images anew for each of the 15,000 points.

CODES is the codes.npz of a run on dSprites. By default a small model is trained first.

    OMP_NUM_THREADS=1 python -m benchmarks.protocol_suite [CODES] [--steps 2000] [--skip-reference]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from benchmarks.record import Figure, Row, Table, parser, publish
from ml import dataset, train
from ml.codes.checked_rows import rows_of
from ml.evaluation.encode import EncodedRows, encode_rows
from ml.evaluation.score import metric_of, scores_of
from ml.spec.parts import Evaluation

SPEC = {
    "dataset": "dsprites",
    "model": {"name": "burgess", "latent_dim": 10},
    "objective": {"name": "beta_vae", "beta": 4.0},
}
FEW_ROWS: dict[str, Any] = {"rows": 1000, "test_rows": 500}
"""Those of `--quick`, which leaves DCI out as well."""


class Codes:
    """Codes and factors as the references take them: rows to fit on, and rows to test on."""

    def __init__(self, codes: np.ndarray, factors: np.ndarray, train: int) -> None:
        self.codes, self.factors, self.train = codes, factors, train
        self.draws = np.random.default_rng(0)
        self.fit, self.fit_factors = codes[:train], factors[:train]
        self.test, self.test_factors = codes[train:], factors[train:]
        self.groups = [
            [np.flatnonzero(column == value) for value in np.unique(column)]
            for column in self.fit_factors.T
        ]

    def batch(self, size: int) -> tuple[int, np.ndarray]:
        """A factor, and the codes of rows that share a value of it."""
        k = int(self.draws.integers(self.factors.shape[1]))
        value = self.fit_factors[self.draws.integers(self.train), k]
        group = self.groups[k][int(np.searchsorted(np.unique(self.fit_factors[:, k]), value))]
        return k, self.fit[self.draws.choice(group, size)]


def beta_vae_score(given: Codes) -> float:
    def points(number: int) -> tuple[np.ndarray, np.ndarray]:
        features, labels = [], []
        for _ in range(number):
            k, both = given.batch(128)
            features.append(np.abs(both[:64] - both[64:]).mean(0))
            labels.append(k)
        return np.array(features), np.array(labels)

    model = LogisticRegression(max_iter=1000).fit(*points(10_000))
    return float(model.score(*points(5_000)))


def factor_vae_score(given: Codes) -> float:
    spread = given.fit.var(0, ddof=1)
    active = np.sqrt(spread) >= 0.05

    def votes(number: int) -> np.ndarray:
        counts = np.zeros((given.codes.shape[1], given.factors.shape[1]))
        for _ in range(number):
            k, batch = given.batch(64)
            shares = np.where(active, batch.var(0, ddof=1) / spread, np.inf)
            counts[shares.argmin(), k] += 1
        return counts

    fitted, tested = votes(10_000), votes(5_000)
    return float(tested[np.arange(len(tested)), fitted.argmax(1)].sum() / tested.sum())


def _matrix(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    return np.array([[mutual_info_score(v, code) for v in factors.T] for code in binned])


def mig(given: Codes) -> float:
    ordered = np.sort(_matrix(given.fit, given.fit_factors), axis=0)[::-1]
    entropies = [mutual_info_score(v, v) for v in given.fit_factors.T]
    return float(((ordered[0] - ordered[1]) / entropies).mean())


def modularity(given: Codes) -> float:
    squares = _matrix(given.fit, given.fit_factors) ** 2
    best = squares.max(1)
    left = (squares.sum(1) - best) / np.where(best > 0, best, 1.0) / (squares.shape[1] - 1)
    return float(np.where(best > 0, 1 - left, 0.0).mean())


def explicitness(given: Codes) -> float:
    scaler = StandardScaler().fit(given.fit)
    areas = []
    for k in range(given.factors.shape[1]):
        model = LogisticRegression().fit(scaler.transform(given.fit), given.fit_factors[:, k])
        chances = model.predict_proba(scaler.transform(given.test))
        areas.append(
            np.mean(
                [
                    roc_auc_score(given.test_factors[:, k] == c, chances[:, j])
                    for j, c in enumerate(model.classes_)
                ]
            )
        )
    return float(np.mean(areas))


def sap(given: Codes) -> float:
    def accuracy(d: int, k: int) -> float:
        machine = LinearSVC(C=0.01, class_weight="balanced")
        machine.fit(given.fit[:, [d]], given.fit_factors[:, k])
        return float((machine.predict(given.test[:, [d]]) == given.test_factors[:, k]).mean())

    latents, factors = given.codes.shape[1], given.factors.shape[1]
    scores = np.array([[accuracy(d, k) for k in range(factors)] for d in range(latents)])
    ordered = np.sort(scores, axis=0)[::-1]
    return float((ordered[0] - ordered[1]).mean())


def dci(given: Codes) -> float:
    columns = [
        GradientBoostingClassifier(random_state=0).fit(given.fit, v).feature_importances_
        for v in given.fit_factors.T
    ]
    importance = np.stack(columns, axis=1)
    shares = importance / importance.sum(1, keepdims=True).clip(min=1e-30)
    entropies = -(shares * np.log(shares.clip(min=1e-30))).sum(1) / np.log(importance.shape[1])
    return float((1 - entropies) @ importance.sum(1) / importance.sum())


def irs(given: Codes) -> float:
    mean = given.fit.mean(0)
    most = np.abs(given.fit - mean).max(0)
    scores = []
    for k in range(given.factors.shape[1]):
        column = given.fit_factors[:, k]
        column = np.digitize(column, np.histogram(column, 20)[1][:-1])
        moved = [
            np.quantile(np.abs(part - part.mean(0)), 0.99, axis=0)
            for part in (given.fit[column == value] for value in np.unique(column))
        ]
        scores.append(1 - np.mean(moved, axis=0) / most)
    return float(np.average(np.max(scores, axis=0), weights=most))


def gaussian_total_correlation(given: Codes) -> float:
    covariance = np.cov(given.fit.T)
    return float(0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]))


SUITE: list[tuple[dict[str, Any], str, Callable[[Codes], float]]] = [
    ({"name": "beta_vae_score"}, "beta_vae_score", beta_vae_score),
    ({"name": "factor_vae_score"}, "factor_vae_score", factor_vae_score),
    ({"name": "mig"}, "mig", mig),
    ({"name": "modularity"}, "modularity", modularity),
    ({"name": "explicitness"}, "explicitness_test", explicitness),
    ({"name": "sap"}, "sap", sap),
    ({"name": "irs"}, "irs", irs),
    ({"name": "unsupervised"}, "gaussian_total_correlation", gaussian_total_correlation),
    ({"name": "dci"}, "disentanglement", dci),
]


def encoded(path: Path | None, steps: int, rows: Evaluation) -> EncodedRows:
    """The codes of a run, or of a model that is trained for this."""
    if path is not None:
        return EncodedRows.from_npz(path.read_bytes())
    model = train({**SPEC, "training": {"steps": steps}})
    return encode_rows(model, dataset("dsprites"), rows)


def seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def main() -> None:
    made = parser(__doc__)
    made.add_argument("codes", type=Path, nargs="?")
    made.add_argument("--steps", type=int, help="of the model that is trained (default 2000)")
    made.add_argument("--skip-reference", action="store_true")
    given = made.parse_args()
    steps = given.steps or (20 if given.quick else 2000)
    skip = given.skip_reference or given.quick
    found = encoded(given.codes, steps, Evaluation(**FEW_ROWS) if given.quick else Evaluation())
    rows = rows_of(found.mean, found.factors, train_rows=int(found.train_rows))
    loops = Codes(found.mean, found.factors, int(found.train_rows))
    # Kernels are compiled, or read from the cache, before anything is timed.
    for metric, *_ in SUITE:
        scores_of(metric_of(metric), rows.take(np.arange(300), 200), codes="mean")
    lines: list[Row] = []
    sums = np.zeros(3)
    for params, name, reference in SUITE[:-1] if given.quick else SUITE:
        metric = metric_of(params)
        part = rows if metric.uses == "split" else rows.only(slice(0, rows.train))
        plain, alone = seconds(
            lambda metric=metric, part=part: scores_of(
                metric, part.take(np.arange(len(part)), part.train), codes="mean", uncertainty=False
            )
        )
        whole, together = seconds(
            lambda metric=metric, part=part: scores_of(
                metric, part.take(np.arange(len(part)), part.train), codes="mean"
            )
        )
        theirs, slow = (
            (float("nan"), float("nan"))
            if skip
            else seconds(lambda reference=reference: reference(loops))
        )
        sums += [alone, together, slow]
        one = next(score for score in whole if score.name == name)
        assert one.value == next(score for score in plain if score.name == name).value
        null = f"{one.null.mean:.3f} ({one.null.replicates})" if one.null else ""
        interval = f"{one.ci95[0]:.3f} to {one.ci95[1]:.3f}" if one.ci95 else ""
        values: dict[str, Figure | str | None] = {
            "ours": Figure([one.value], "", places=4),
            "null (replicates)": null,
            "95 % interval": interval,
            "the reference": "" if skip else Figure([theirs], "", places=4),
        }
        lines.append(Row([metric.name], values | _times(alone, together, None if skip else slow)))
        print(f"{metric.name}: {alone:.2f}, {together:.2f}, {slow:.2f} s", flush=True)
    alone, together, slow = sums.tolist()
    lines.append(Row(["all"], _times(alone, together, None if skip else slow)))
    command = (
        f"OMP_NUM_THREADS={torch.get_num_threads()} python -m benchmarks.protocol_suite"
        f" --steps {steps}{' --quick' if given.quick else ' --skip-reference' * skip}"
    )
    publish([Table("protocol_suite", command, ["metric"], lines)], given)


def _times(
    alone: float, together: float, reference: float | None
) -> dict[str, Figure | str | None]:
    theirs = None if reference is None else Figure([reference], "s", places=2)
    ours = (Figure([seconds], "s", "less", places=2) for seconds in (alone, together))
    plain, whole = ours if theirs is None else (one.beside(theirs) for one in ours)
    return {"ours alone": plain, "with null and interval": whole, "by the reference": theirs}


if __name__ == "__main__":
    main()
