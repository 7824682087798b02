"""Every metric at one, two, three rows: a Score, with a value or with what is wrong, always."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest

from ml.codes.rows import Posteriors
from ml.components.registry import components
from ml.evaluation.evaluate import score_rows
from ml.evaluation.score import metric_of
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.protocol import Metric, Number, Rows, Value

TINY = [(n, train) for n in (1, 2, 3, 5) for train in sorted({1, n // 2, n - 1, n} - {0})]


def asked() -> Iterator[dict[str, Any]]:
    """Every metric of the registry as it stands, and each choice of predictor."""
    for name, metric in components("metric").items():
        assert issubclass(metric, Metric)
        yield {"name": name}
        yield from ({"name": name, **one.params} for one in metric.audited if one.params)


ASKED = list(asked())


def part(metric: Metric, rows: Rows) -> Rows:
    """What an evaluation gives a metric of these rows."""
    if metric.uses == "split":
        return rows
    return rows.only(slice(0, rows.train) if metric.uses == "all" else slice(rows.train, None))


def drawn(n: int, train: int, *, factors: int = 2, latents: int = 3) -> Rows:
    draws = np.random.default_rng(n)
    codes = draws.standard_normal((n, latents)).astype(np.float32)
    names = tuple(f"v{k}" for k in range(factors))
    values = draws.integers(0, 3, (n, factors))
    kinds = ("discrete",) * factors
    posteriors = Posteriors(codes, draws.normal(-1, 2, codes.shape))
    return Rows(codes, values, names, kinds, train, 0, codes**2, codes[:, 0] ** 2, posteriors)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("given", ASKED, ids=str)
def test_few_rows_give_a_value_or_say_what_is_wrong(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few rows have hardly more permutations than these.
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 4)
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 50)
    monkeypatch.setattr("ml.metrics.information.information_metric.REDRAWN_ENDS", 50)
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.MOST_REPLICATES", 4)
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.MOST_SUBSAMPLES", 4)
    metric = metric_of(given)
    for n, train in TINY:
        for latents, factors in ((3, 2), (1, 1), (2, 0)):
            rows = part(metric, drawn(n, train, factors=factors, latents=latents))
            scores = score_rows(rows, [metric])
            assert [score.name for score in scores] == [one.name for one in metric.reported()]
            for score in scores:
                assert (score.value is None) != (score.error is None)
                json.dumps(score.model_dump(mode="json"), allow_nan=False)


def perfect(seed: int) -> Rows:
    """Codes that are the factors and one that is dead; a single factor or every combination."""
    draws = np.random.default_rng(seed)
    if seed % 2:
        factors = np.indices(draws.integers(2, 6, 3)).reshape(3, -1).T
    else:
        factors = draws.integers(0, 9, (int(draws.integers(6, 60)), 1))
    codes = np.c_[factors, np.zeros(len(factors))]
    names = tuple("abc"[: factors.shape[1]])
    train = math.ceil(0.75 * len(codes))
    kinds = ("discrete",) * len(names)
    posteriors = Posteriors(codes, np.full(codes.shape, -9.0))
    return Rows(codes, factors, names, kinds, train, 0, codes**2, codes[:, 0], posteriors)


@pytest.mark.parametrize("given", ASKED, ids=str)
def test_values_stay_within_the_range_that_the_metric_tells(given: dict[str, Any]) -> None:
    metric = metric_of(given)
    counted, slow = isinstance(metric, InformationMetric), given.get("predictor") == "random_forest"
    for seed in range(400 if counted else 1 if slow else 2):
        for score in score_rows(perfect(seed), [metric], uncertainty=False):
            if score.value is not None:
                low, high = score.range
                assert low is None or low <= score.value
                assert high is None or score.value <= high


class Odd(Metric):
    """Gives what it is told to, and has no uncertainty."""

    name: Literal["odd"] = "odd"
    numbers = (Number("odd"),)
    value: float

    def compute(self, rows: Rows) -> dict[str, Value]:
        return {"odd": Value(self.value)}

    def null(self, rows: Rows) -> dict[str, np.ndarray]:
        raise KeyError("lost")

    def half_widths(self, rows: Rows) -> dict[str, float]:
        raise ZeroDivisionError("division by zero")


def test_a_value_stands_whatever_its_null_and_interval_meet() -> None:
    (found,) = score_rows(drawn(5, 3), [Odd(value=0.5)])
    assert found.value == 0.5 and found.null is None and found.ci95 is None
    assert found.details["without_uncertainty"] == (
        "null: KeyError: 'lost'; interval: ZeroDivisionError: division by zero"
    )


def test_a_value_is_taken_back_over_rounding_and_refused_beyond_it() -> None:
    values = (1 + 2e-16, -2e-16, 1.01)
    high, low, wrong = (score_rows(drawn(5, 3), [Odd(value=value)])[0] for value in values)
    assert (high.value, low.value, wrong.value) == (1.0, 0.0, None)
    assert wrong.error == "the value 1.01 is beyond what it can be, 0.0 to 1.0"
