"""An audit of codes: all our scores, and what public codebases print in their place."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ml.codes.rows import Rows
from ml.evaluation.evaluate import score_rows
from ml.evaluation.published._formula import Published, published
from ml.evaluation.score import metric_of
from ml.metrics.protocol import FactorKind, Score
from ml.recorder import Progress, Recorder, Silent, Wish

CHEAP = (
    *({"name": name} for name in ("mig", "mig_sup", "rmig", "jemmig", "dcimig")),
    *({"name": name} for name in ("modularity", "med")),
    *(
        {"name": "sap", "predictor": predictor}
        for predictor in ("linear_svm", "correlation", "linear_regression")
    ),
    *({"name": "dci", "predictor": predictor} for predictor in ("lasso", "linear")),
)
"""Metrics as one asks for them: names, and params that are not the defaults."""
FITTED = (
    *({"name": "sap", "predictor": name} for name in ("logistic_regression", "decision_tree")),
    {"name": "dci", "predictor": "logistic_regression"},
    *({"name": "explicitness", "variant": name} for name in ("multinomial", "one_vs_rest")),
)
SLOW = tuple({"name": "dci", "predictor": name} for name in ("gradient_boosting", "random_forest"))
"""What `quick` leaves out; random forests take minutes on 10,000 rows."""
CLASSIFIERS = (
    *("linear_svm", "logistic_regression", "decision_tree", "gradient_boosting"),
    *("multinomial", "one_vs_rest"),
)
"""Predictors and variants that predict classes."""
CONTINUOUS_BINS = 10
"""Classes that those predict of continuous factors, as Carbonneau et al. do."""


class Audited(BaseModel):
    """One of our scores and what stands for it elsewhere."""

    asked: dict[str, Any]
    """The metric's name and the params that were chosen."""
    score: Score
    published: list[Published]


class Audit(BaseModel):
    """All scores of some rows, ours and other people's."""

    rows: int
    train_rows: int
    latents: int
    factors: list[str]
    factor_kinds: list[FactorKind]
    seed: int
    items: list[Audited]


def audit(rows: Rows, *, quick: bool = False, recorder: Recorder | None = None) -> Audit:
    """Score rows by every metric that takes codes and factors, beside what codebases print.

    What a metric cannot be computed for becomes its Scores' `error`. Numbers called `error` are
    left out, as they are 1 - informativeness. `quick` leaves out random forests and gradient
    boosting, and other fitted predictors' nulls and intervals.
    """
    asked = metrics_of(rows, quick=quick)
    items = []
    for done, one in enumerate(asked):
        items += [
            Audited(asked=one, score=score, published=published(rows, score))
            for score in score_rows(
                rows,
                [metric_of(one)],
                uncertainty=not quick or _cheap(one),
                recorder=_Step(recorder or Silent(), done, len(asked)),
            )
            if not score.name.startswith("error")
        ]
    return Audit(
        rows=len(rows),
        train_rows=rows.train,
        latents=rows.codes.shape[1],
        factors=list(rows.factor_names),
        factor_kinds=list(rows.factor_kinds),
        seed=rows.seed,
        items=items,
    )


def metrics_of(rows: Rows, *, quick: bool = False) -> list[dict[str, Any]]:
    """The metrics of an audit of these rows, in its order."""
    chosen: list[dict[str, Any]] = [
        dict(one) for one in (*CHEAP, *FITTED, *(() if quick else SLOW))
    ]
    names = [one["name"] for one in chosen]
    chosen.sort(key=lambda one: names.index(one["name"]))
    if "continuous" in rows.factor_kinds:
        for one in chosen:
            if one.get("predictor", one.get("variant")) in CLASSIFIERS:
                one["factor_bins"] = CONTINUOUS_BINS
    return chosen


def _cheap(asked: dict[str, Any]) -> bool:
    return {name: value for name, value in asked.items() if name != "factor_bins"} in CHEAP


class _Step(Silent):
    """Reports one metric of many as one step of the audit."""

    def __init__(self, recorder: Recorder, done: int, steps: int) -> None:
        self._recorder, self._done, self._steps = recorder, done, steps

    def progress(self, progress: Progress) -> Wish:
        """The metric's own last step ends this one."""
        done = self._done + (progress.step == progress.steps)
        return self._recorder.progress(Progress(progress.stage, done, self._steps))
