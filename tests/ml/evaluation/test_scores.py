import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.codes_and_factors import CodesAndFactors
from ml.components.registry import UnknownComponent
from ml.components.spec_errors import InvalidSpec
from ml.metrics.information.mig import gaps
from ml.metrics.information.mutual_information import equal_width_bins, information
from ml.metrics.protocol import ConstantFactor, Score, UnfitFactor, UnusableRows
from ml.spec.evaluation_spec import FileEvaluation


def mig_of(codes: np.ndarray, factors: np.ndarray, **params: int) -> Score:
    (found,) = score(codes, factors, [{"name": "mig", **params}], uncertainty=False)
    return found


def test_gaps_worked_by_hand() -> None:
    mutual = np.array([[1.0, 0.2], [0.5, 0.2], [0.0, 0.6]])
    np.testing.assert_allclose(gaps(mutual, np.array([2.0, 1.0])), [0.25, 0.4])
    np.testing.assert_allclose(gaps(mutual[:1], np.array([2.0, 1.0])), [0.5, 0.2])


def test_a_perfect_code_scores_one_and_noise_near_zero() -> None:
    factors = np.indices((8, 16, 32)).reshape(3, -1).T  # Every combination once.
    assert mig_of(-2.5 * factors, factors, bins=32).value == pytest.approx(1.0)
    noise = np.random.default_rng(0).normal(size=(len(factors), 5))
    assert mig_of(noise, factors).value == pytest.approx(0.0, abs=0.01)


def test_permuting_codes_and_adding_a_dead_one_change_nothing() -> None:
    draws = np.random.default_rng(1)
    factors = draws.integers(0, 5, size=(1000, 2))
    codes = factors @ draws.normal(size=(2, 4)) + 0.1 * draws.normal(size=(1000, 4))
    value = mig_of(codes, factors).value
    assert mig_of(codes[:, [2, 0, 3, 1]], factors).value == pytest.approx(value)
    assert mig_of(np.c_[codes, np.zeros(1000)], factors).value == pytest.approx(value)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(2, 30))
def test_the_matrix_is_scikit_learns(seed: int, latents: int, factors: int, bins: int) -> None:
    draws = np.random.default_rng(seed)
    codes = equal_width_bins(draws.normal(size=(200, latents)).astype(np.float32), bins)
    assert codes.min() == 0 and codes.max() == bins - 1
    values = draws.integers(0, 6, size=(200, factors))
    expected = [[mutual_info_score(values[:, k], code) for k in range(factors)] for code in codes.T]
    np.testing.assert_allclose(information(codes, values).mutual, expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
    st.integers(2, 40),
)
def test_bins_are_numpys(seed: int, dtype: type, bins: int) -> None:
    draws = np.random.default_rng(seed)
    values = (draws.normal(size=(300, 1)) * 10 ** draws.uniform(0, 2) + 90).astype(dtype)
    edges = np.histogram(values[:, 0], bins)[1]
    expected = np.digitize(values[:, 0], edges[:-1]) - 1
    np.testing.assert_array_equal(equal_width_bins(values, bins)[:, 0], expected)


def test_a_collapsed_latent_is_cut_although_numpy_refuses_to() -> None:
    last_places = np.float32(1) + np.arange(5, dtype=np.float32)[:, None] * np.float32(1.2e-7)
    binned = equal_width_bins(np.repeat(last_places, 10, axis=0), 20)
    assert len(np.unique(binned)) == 5 and binned.min() >= 0 and binned.max() == 19


def test_counting_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(3)
    codes, factors = draws.integers(0, 9, (100, 7)), draws.integers(0, 4, (100, 3))
    whole = information(codes, factors)
    monkeypatch.setattr("ml.metrics.information.mutual_information.MOST_CELLS", 600)
    parts = information(codes, factors)
    np.testing.assert_array_equal(parts.mutual, whole.mutual)
    np.testing.assert_array_equal(parts.codes, whole.codes)


def test_a_constant_factor_is_named() -> None:
    factors = np.c_[np.arange(10) % 3, np.full(10, 4)]
    with pytest.raises(ConstantFactor, match=r"'colour' \(column 1\).*4"):
        score(np.random.rand(10, 2), factors, ["mig"], factor_names=["shape", "colour"])


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros((5, 2)), np.zeros((4, 2), int), "5 rows of codes but 4"),
        (np.zeros(5), np.zeros((5, 2), int), "codes must be"),
        (np.array([[0.0, np.nan]] * 5), np.zeros((5, 2), int), "codes has NaN.*column 1"),
        (np.zeros((5, 2)), np.full((5, 1), np.inf), "factors has NaN or infinite.*column 0"),
        (np.zeros((0, 2)), np.zeros((0, 1), int), "codes must be"),
        (np.array([["a"]]), np.zeros((1, 1), int), "must be numbers"),
    ],
)
def test_unusable_arrays_are_named(codes: np.ndarray, factors: np.ndarray, message: str) -> None:
    with pytest.raises(UnusableRows, match=message):
        score(codes, factors, ["mig"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_rows": -3}, "train_rows must be 1 to 9, got -3"),
        ({"train_rows": 10}, "train_rows must be 1 to 9, got 10"),
        ({"train_rows": 4.0}, "train_rows must be 1 to 9, got 4.0"),
        ({"seed": -1}, "seed must be an integer from 0, got -1"),
        ({"factor_kinds": ["discreet"]}, "discrete or continuous, got 'discreet'"),
        ({"factor_names": ["a", "b"]}, "2 factor_names for 1 column"),
        ({"posterior_logvar": np.zeros((9, 1))}, r"posterior_logvar.*\(9, 2\), got \(9, 1\)"),
    ],
)
def test_options_that_do_not_fit_the_arrays_are_named(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnusableRows, match=message):
        score(np.random.rand(9, 2), np.arange(9).reshape(9, 1), ["mig"], **options)


def test_names_and_kinds_may_be_arrays() -> None:
    names, kinds = np.array(["a"]), np.array(["discrete"])
    arrays = np.random.rand(9, 2), np.arange(9).reshape(9, 1)
    (found,) = score(*arrays, ["mig"], factor_names=names, factor_kinds=kinds)
    assert found.details["factors"] == ["a"]


def test_misspelt_metrics_and_parameters_are_named() -> None:
    arrays = np.random.rand(9, 2), np.arange(9).reshape(9, 1)
    with pytest.raises(UnknownComponent, match="mig"):
        score(*arrays, ["mgi"])
    with pytest.raises(InvalidSpec, match="binz"):
        score(*arrays, [{"name": "mig", "binz": 3}])


def test_a_continuous_factor_is_cut_into_bins_and_a_discrete_one_is_not() -> None:
    values = np.random.default_rng(2).random((5000, 1))
    as_continuous = mig_of(values, values)
    assert as_continuous.value == pytest.approx(1.0)
    assert as_continuous.details["factor_entropies"] == pytest.approx([np.log(20)], abs=0.01)
    (as_discrete,) = score(values, values, ["mig"], factor_kinds=["discrete"])
    assert as_discrete.details["factor_entropies"] == pytest.approx([np.log(5000)])


def test_a_score_says_what_is_needed_to_cite_it() -> None:
    found = mig_of(np.random.rand(50, 2), np.arange(50).reshape(50, 1) % 4, bins=7)
    document = json.loads(found.model_dump_json())
    assert document["definition"] == "mig@1" and document["params"]["bins"] == 7
    assert document["rows"] == 50 and document["range"] == [0.0, 1.0] and document["perfect"] == 1.0
    assert {"numpy", "scikit-learn", "torch", "heddle"} <= set(document["versions"])
    assert {
        "metric", "name", "value", "error", "higher_is_better", "range", "perfect", "null", "ci95",
        "codes", "images", "params", "definition", "rows", "population",
        "rows_to_halve", "rows_to_halve_missing", "train_rows", "factors",
        "groups", "seed", "seconds", "versions", "details",
    } == set(document)  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "train"),
    [
        ("mig", None),
        ("sap", 40),
        ({"name": "sap", "predictor": "linear_regression"}, None),
        ({"name": "dci", "predictor": "logistic_regression"}, 40),
        ({"name": "dci", "predictor": "lasso"}, None),
        ("explicitness", 40),
        ({"name": "explicitness", "variant": "one_vs_rest"}, None),
    ],
)
def test_a_score_says_how_many_rows_were_fitted_and_which_factors_were_judged(
    metric: Any, train: int | None
) -> None:
    draws = np.random.default_rng(0)
    arrays = draws.normal(size=(60, 2)), draws.integers(0, 2, (60, 2))
    names = ["shape", "size"]
    found = score(*arrays, metric, train_rows=40, factor_names=names, uncertainty=False)
    assert [(one.rows, one.train_rows, one.factors) for one in found] == [
        (60, train, names) for _ in found
    ]


def test_a_score_of_a_time_before_these_were_told_is_read() -> None:
    document = mig_of(np.random.rand(50, 2), np.arange(50).reshape(50, 1) % 4).model_dump()
    old = {key: document[key] for key in document if key not in ("train_rows", "factors")}
    assert Score.model_validate(old).train_rows is None


def test_rows_that_no_predictor_can_take_are_named() -> None:
    factors = np.arange(9).reshape(9, 1)
    for codes, message in (
        (np.full((9, 1), 1e200), "beyond 1e.150 in column 0"),
        (np.zeros((9, 1), np.longdouble), "must be numbers, got dtype (float128|longdouble)"),
        (np.ma.masked_less(np.arange(9.0).reshape(9, 1), 3), "masked values"),
    ):
        with pytest.raises(UnusableRows, match=message):
            score(codes, factors, "mig")
    with pytest.raises(UnusableRows, match="two columns of factors are called 'a'"):
        score(np.zeros((9, 1)), np.c_[factors, factors], "mig", factor_names=["a", "a"])


def test_a_single_metric_needs_no_list_and_others_are_named() -> None:
    arrays = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50).reshape(50, 1) % 3
    assert score(*arrays, "mig", uncertainty=False)[0].name == "mig"
    assert score(*arrays, {"name": "sap"}, uncertainty=False)[0].name == "sap"
    with pytest.raises(InvalidSpec, match="name"):
        score(*arrays, [None])  # type: ignore[list-item]


def test_bins_of_codes_whose_range_overflows_their_dtype() -> None:
    factors = np.arange(40).reshape(40, 1) % 2
    for dtype, size in ((np.float16, 4e4), (np.float32, 3e38)):
        codes = np.where(factors == 1, size, -size).astype(dtype)
        assert mig_of(codes, factors).value == pytest.approx(1.0)


def test_a_rare_class_leaves_the_interval_or_a_reason_for_none() -> None:
    draws = np.random.default_rng(0)
    flag = (np.arange(300) == 7).astype(int)
    factors = np.c_[flag, draws.integers(0, 3, 300)]
    (found,) = score(draws.normal(size=(300, 3)), factors, "mig")
    assert found.value is not None and found.ci95 is None
    assert "constant in" in found.details["without_uncertainty"]
    factors[:9, 0] = 1
    (found,) = score(draws.normal(size=(300, 3)), factors, "mig")
    assert found.ci95 is not None


def test_values_that_no_table_can_hold_are_refused_by_column() -> None:
    factors = np.arange(2_000_000).reshape(-1, 1)
    with pytest.raises(UnusableRows, match="column 0 of factors has 2000000; call it continuous"):
        score(np.zeros((2_000_000, 1), np.float32) + factors % 2, factors, "mig")


@pytest.mark.parametrize("metric", ["dci", "sap", "explicitness"])
def test_more_classes_than_memory_are_refused_by_name(metric: str) -> None:
    factors = np.arange(40_000).reshape(-1, 1) // 2
    with pytest.raises(UnfitFactor, match=r"'id' \(column 0\) has .* classes in 40000 rows"):
        score(np.zeros((40_000, 2)), factors, metric, factor_names=["id"], train_rows=30_000)


def test_seeds_beyond_scikit_learns_are_taken() -> None:
    draws = np.random.default_rng(0)
    arrays = draws.normal(size=(60, 2)), draws.integers(0, 2, (60, 1))
    large = score(*arrays, "dci", seed=2**40 + 1, uncertainty=False)
    assert [one.value for one in large] == [
        one.value for one in score(*arrays, "dci", seed=1, uncertainty=False)
    ]


PREDICTED = (
    {"name": "dci", "predictor": "linear"},
    {"name": "dci", "predictor": "lasso"},
    {"name": "sap", "predictor": "correlation"},
    {"name": "sap", "predictor": "linear_regression"},
    {"name": "sap"},
    {"name": "mig"},
    {"name": "mig", "factor_bins": 5},
    {"name": "mig", "factor_bins": 5, "scaled": True},
    {"name": "explicitness", "factor_bins": 4},
)


@pytest.mark.parametrize("first", [2**53, -(2**62), 2**63])
@pytest.mark.parametrize("metric", PREDICTED, ids=str)
def test_ids_of_classes_may_be_of_any_size(metric: dict[str, Any], first: int) -> None:
    draws = np.random.default_rng(0)
    classes = draws.integers(0, 5, (200, 2))
    codes = classes @ draws.normal(size=(2, 3)) + 0.1 * draws.normal(size=(200, 3))
    ids = classes.astype(np.uint64 if first > 0 else np.int64)
    ids += ids.dtype.type(first)
    scores, same = (score(codes, factors, metric, uncertainty=False) for factors in (ids, classes))
    assert [one.value for one in scores] == [one.value for one in same]


def test_ids_that_are_one_number_in_float64_are_no_numbers_to_regress_on() -> None:
    draws = np.random.default_rng(0)
    ids = np.array([5, 2**62, 2**62 + 1])[draws.integers(0, 3, (60, 1))]
    codes = draws.normal(size=(60, 2))
    with pytest.raises(UnfitFactor, match=r"'factor_0'.* from 5 to 4611686018427387905.*number"):
        score(codes, ids, {"name": "sap", "predictor": "correlation"})
    # As classes they are three.
    (mig,) = score(codes, ids, "mig", uncertainty=False)
    assert len(mig.details["factor_entropies"]) == 1 and mig.value is not None


def test_codes_that_are_ids_are_refused() -> None:
    codes = np.c_[np.arange(9), 2**60 + np.arange(9)]
    with pytest.raises(UnusableRows, match=r"codes has integers beyond 2\^53 in column 1"):
        score(codes, np.arange(9).reshape(9, 1) % 3, "mig")


@pytest.mark.filterwarnings("error")
def test_the_kl_of_half_precision_codes_is_their_own() -> None:
    codes = np.array([[300.0, -1.0], [0.5, 2.0]], dtype=np.float16)
    log_variance = np.array([[12.0, -2.0], [0.0, 1.0]], dtype=np.float16)
    rows = rows_of(codes, np.array([[0], [1]]), posterior_logvar=log_variance)
    # (mean^2 + variance - log variance - 1) / 2
    expected = 0.5 * (300.0**2 + np.exp(12.0) - 12 - 1)
    assert rows.kl is not None and rows.kl[0, 0] == pytest.approx(expected)
    assert rows.kl[1, 0] == pytest.approx(0.125)


def test_a_factor_of_which_a_file_says_that_it_has_one_value_is_left_out() -> None:
    draws = np.random.default_rng(0)
    factors = np.c_[np.full(90, 7), draws.integers(0, 3, 90)]
    codes = draws.normal(size=(90, 2))
    arrays = CodesAndFactors(codes, factors, factor_names=("shape", "scale"), factor_sizes=(1, 3))
    rows = FileEvaluation().rows(arrays)
    assert (rows.factor_names, rows.factors_left_out) == (("scale",), ("shape",))
    np.testing.assert_array_equal(rows.factors, factors[:, 1:])
    # Where nothing is said it may be the caller's mistake, and where it varies it is.
    untold = FileEvaluation().rows(replace(arrays, factor_sizes=None))
    assert untold.factor_names == ("shape", "scale") and not untold.factors_left_out
    varies = FileEvaluation().rows(replace(arrays, factor_sizes=(3, 1)))
    assert varies.factor_names == ("shape", "scale")
    with pytest.raises(ConstantFactor, match="'factor_0'"):
        score(codes, factors, "mig", factor_sizes=(1, 3))
