"""What the metrics that fit predictors have in common."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.components.spec_errors import InvalidSpec
from ml.evaluation.score import metric_of
from ml.metrics.protocol import ConstantFactor, Rows, UnfitFactor, UnusableRows

STRUCTURE = {"disentanglement", "completeness"}

METRICS: dict[str, dict[str, Any]] = {
    "sap linear_svm": {"name": "sap"},
    "sap logistic_regression": {"name": "sap", "predictor": "logistic_regression"},
    "sap decision_tree": {"name": "sap", "predictor": "decision_tree", "cv": 3},
    "sap correlation": {"name": "sap", "predictor": "correlation"},
    "sap linear_regression": {"name": "sap", "predictor": "linear_regression"},
    "dci gradient_boosting": {"name": "dci"},
    "dci logistic_regression": {"name": "dci", "predictor": "logistic_regression"},
    "dci lasso": {"name": "dci", "predictor": "lasso", "cv": 3},
    "dci random_forest": {"name": "dci", "predictor": "random_forest", "cv": 2},
    "dci linear": {"name": "dci", "predictor": "linear"},
    "explicitness multinomial": {"name": "explicitness"},
    "explicitness one_vs_rest": {"name": "explicitness", "variant": "one_vs_rest"},
}
REGRESSIONS = [
    "sap correlation",
    "sap linear_regression",
    "dci lasso",
    "dci random_forest",
    "dci linear",
]
TESTED = [
    "sap linear_svm",
    "sap logistic_regression",
    "dci gradient_boosting",
    "dci logistic_regression",
    "explicitness multinomial",
]
CLASSIFIERS = [name for name in METRICS if name not in REGRESSIONS]


def rows_of(codes: np.ndarray, factors: np.ndarray, train: int) -> Rows:
    kind = "continuous" if factors.dtype.kind == "f" else "discrete"
    names = tuple(f"factor_{k}" for k in range(factors.shape[1]))
    return Rows(codes, factors, names, (kind,) * len(names), train)


def numbers_of(name: str, rows: Rows) -> dict[str, float]:
    """The metric's numbers, after a look at whether they are what it says that it reports."""
    metric = metric_of(METRICS[name])
    found = metric.compute(rows)
    reported = {number.name: number for number in metric.reported()}
    assert found.keys() == reported.keys()
    latents, factors = rows.codes.shape[1], rows.factors.shape[1]
    without = {("disentanglement", factors), ("completeness", latents)} if "dci" in name else set()
    for key, one in found.items():
        low, high = reported[key].range
        if (key, 1) in without:
            assert math.isnan(one.value) and one.missing is not None
        else:
            assert low <= one.value <= high, (key, one.value)
    json.dumps([one.details for one in found.values()], allow_nan=False)
    return {key: one.value for key, one in found.items() if not math.isnan(one.value)}


@pytest.fixture
def rows() -> Rows:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, [2, 3, 4], (120, 3))
    codes = factors @ draws.normal(size=(3, 4)) + 0.5 * draws.normal(size=(120, 4))
    return rows_of(codes.astype(np.float32), factors, 90)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_fits_training_rows_alone_says_so(name: str, rows: Rows) -> None:
    # One row goes from the tested to the fitted ones.
    metric = metric_of(METRICS[name])
    moved = metric.values(replace(rows, train=rows.train - 1))
    assert metric.fits_training_rows() == (moved != metric.values(rows))


@pytest.mark.parametrize("name", METRICS)
def test_the_same_rows_give_the_same_values(name: str, rows: Rows) -> None:
    assert numbers_of(name, rows) == numbers_of(name, rows)


@pytest.mark.parametrize("name", METRICS)
def test_permuted_codes_permute_the_matrix(name: str, rows: Rows) -> None:
    metric, order = metric_of(METRICS[name]), [2, 0, 3, 1]
    found, permuted = (
        metric.compute(one) for one in (rows, replace(rows, codes=rows.codes[:, order]))
    )
    # Trees look at features in an order drawn by place.
    tolerance = {"dci random_forest": 0.2, "dci gradient_boosting": 0.02}.get(name, 1e-3)
    for key, one in found.items():
        assert permuted[key].value == pytest.approx(one.value, abs=tolerance)
        for matrix in {"scores", "importance"} & one.details.keys():
            expected = np.array(one.details[matrix])[order]
            distance = np.abs(np.array(permuted[key].details[matrix]) - expected)
            assert (distance <= tolerance * expected.max()).all()


@pytest.mark.parametrize("name", METRICS)
def test_double_precision_changes_next_to_nothing(name: str, rows: Rows) -> None:
    double = numbers_of(name, replace(rows, codes=rows.codes.astype(np.float64)))
    assert double == pytest.approx(numbers_of(name, rows), abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "codes",
    ["dead", "one dead", "single", "duplicated", "huge", "tiny", "offset", "dead in training"],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_awkward_codes_have_values_within_range(name: str, codes: str, rows: Rows) -> None:
    given = rows.codes.astype(np.float64)
    dead_in_training = given.copy()
    dead_in_training[: rows.train, 1] = 0.1
    arrays = {
        "dead": np.full((120, 4), 0.1, np.float32),
        "one dead": np.c_[given[:, :1], np.full(120, 0.1)],
        "single": given[:, :1],
        "duplicated": np.c_[given, given],
        "huge": given * 1e200,
        "tiny": given * 1e-200,
        "offset": given + 1e6,
        "dead in training": dead_in_training,
    }
    values = numbers_of(name, replace(rows, codes=arrays[codes]))
    if codes == "dead" and name.startswith(("sap", "dci")):
        for key in {"sap", *STRUCTURE} & values.keys():
            assert values[key] == 0
    scale_free = "linear_svm" not in name and "correlation" not in name and "boost" not in name
    if scale_free and codes in ("huge", "tiny"):
        assert values == pytest.approx(numbers_of(name, rows), abs=2e-3)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_continuous_factors_are_refused_by_classifiers_unless_cut(name: str, rows: Rows) -> None:
    factors = np.c_[rows.factors, np.random.default_rng(1).uniform(size=120)]
    kinds = ("discrete",) * 3 + ("continuous",)
    mixed = replace(
        rows, factors=factors, factor_names=("a", "b", "c", "angle"), factor_kinds=kinds
    )
    with pytest.raises(UnfitFactor, match=r"'angle' \(column 3\) is continuous.*factor_bins"):
        metric_of(METRICS[name]).compute(mixed)
    cut = metric_of({**METRICS[name], "factor_bins": 4})
    assert cut.compute(mixed).keys() == {number.name for number in cut.reported()}


def test_factor_bins_of_as_many_as_there_are_values_change_nothing(rows: Rows) -> None:
    four = rows_of(rows.codes, rows.factors[:, [2]], 90)
    for name in CLASSIFIERS:
        cut = metric_of({**METRICS[name], "factor_bins": 4}).compute(four)
        told = {key: one.value for key, one in cut.items() if key != "disentanglement"}
        assert told == numbers_of(name, four)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regressions_take_continuous_factors_and_whole_numbers_alike(name: str, rows: Rows) -> None:
    continuous = rows_of(rows.codes, rows.factors.astype(np.float64), 90)
    assert numbers_of(name, continuous) == numbers_of(name, rows)


@pytest.mark.parametrize("name", TESTED)
def test_no_rows_to_test_on_are_told(name: str, rows: Rows) -> None:
    with pytest.raises(UnusableRows, match=r"all 120 rows are training rows.*smaller train_rows"):
        metric_of(METRICS[name]).compute(replace(rows, train=120))


@pytest.mark.parametrize("name", [name for name in METRICS if name not in TESTED])
def test_metrics_that_test_on_no_other_rows_do_without(name: str, rows: Rows) -> None:
    numbers_of(name, replace(rows, train=120))


@pytest.mark.parametrize("name", METRICS)
def test_a_constant_factor_is_named(name: str, rows: Rows) -> None:
    factors = rows.factors.copy()
    factors[:, 1] = 7
    with pytest.raises(ConstantFactor, match=r"'factor_1' \(column 1\) has the single value 7"):
        metric_of(METRICS[name]).compute(replace(rows, factors=factors))


@pytest.mark.parametrize("name", [*TESTED, "sap correlation"])
def test_a_factor_constant_on_the_training_rows_only_is_named(name: str, rows: Rows) -> None:
    factors = rows.factors.copy()
    factors[: rows.train, 1] = 2
    factors[rows.train :, 1] = np.arange(30) % 3
    with pytest.raises(ConstantFactor, match=r"'factor_1'.*value 2 on the training rows"):
        metric_of(METRICS[name]).compute(replace(rows, factors=factors))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("sap linear_svm", "sap"),
        ("sap logistic_regression", "sap"),
        ("dci gradient_boosting", "informativeness_test"),
        ("dci logistic_regression", "informativeness_test"),
    ],
)
def test_a_class_of_test_rows_only_counts_as_errors(name: str, number: str) -> None:
    factor = np.r_[np.arange(40) % 2, 0, 1, 2, 2][:, None]
    codes = 2.0 * factor - 1
    assert numbers_of(name, rows_of(codes, factor, 40))[number] == pytest.approx(0.5)


@pytest.mark.parametrize("name", TESTED)
def test_fewer_rows_than_classes_have_values(name: str) -> None:
    factors = np.array([0, 1, 2, 3, 4, 5, 0, 3, 7, 6, 1, 2])[:, None]
    codes = np.random.default_rng(2).normal(size=(12, 2))
    numbers_of(name, rows_of(codes, factors, 6))


@pytest.mark.parametrize("name", METRICS)
def test_what_stops_a_fit_passes_through(name: str, rows: Rows) -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    metric = metric_of(METRICS[name])
    if name in ("sap correlation", "sap linear_regression", "dci linear"):
        metric.compute(replace(rows, continue_or_stop=stop))  # Over before one could ask.
        return
    with pytest.raises(Enough):
        metric.compute(replace(rows, continue_or_stop=stop))


@pytest.mark.parametrize(
    ("metric", "unused"),
    [
        ({"name": "sap", "predictor": "correlation", "C": 0.1}, "C"),
        ({"name": "sap", "predictor": "decision_tree", "C": 0.01}, "C"),
        ({"name": "sap", "cv": 5}, "cv"),
        ({"name": "sap", "predictor": "linear_regression", "factor_bins": 5}, "factor_bins"),
        ({"name": "dci", "C": 2.0}, "C"),
        ({"name": "dci", "predictor": "logistic_regression", "cv": 3}, "cv"),
        ({"name": "dci", "predictor": "lasso", "repeats": 2}, "repeats"),
        ({"name": "dci", "predictor": "random_forest", "factor_bins": 5}, "factor_bins"),
    ],
)
def test_a_param_that_would_be_ignored_is_refused(metric: dict[str, Any], unused: str) -> None:
    with pytest.raises(InvalidSpec, match=f"does not use {unused}; leave it out, or choose"):
        metric_of(metric)


def test_a_param_at_its_default_is_no_fault() -> None:
    for name in ("sap", "dci", "explicitness"):
        metric_of(metric_of(name).model_dump())
