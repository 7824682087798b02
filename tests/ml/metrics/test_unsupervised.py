"""Dependence of codes on each other, and the number of latents that are active."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.rows import UnusableRows
from ml.evaluation.score import metric_of
from ml.metrics.posterior.unsupervised import wasserstein_correlation
from ml.metrics.protocol import Score

DEPENDENCE = (
    "gaussian_total_correlation",
    "wasserstein_correlation",
    "wasserstein_correlation_normalised",
    "code_mutual_information",
)


def scored(name: str, codes: np.ndarray, **options: Any) -> dict[str, Score]:
    factors = np.zeros((len(codes), 1), dtype=int)
    return {one.name: one for one in score(codes, factors, name, **options)}


def values(name: str, codes: np.ndarray) -> dict[str, float | None]:
    return {key: one.value for key, one in scored(name, codes, uncertainty=False).items()}


def correlated(samples: int, correlation: float) -> np.ndarray:
    """Two codes of exactly this correlation."""
    draws = np.random.default_rng(0).normal(size=(samples, 2))
    draws -= draws.mean(0)
    white = draws @ np.linalg.inv(np.linalg.cholesky(np.cov(draws.T))).T
    mixed: np.ndarray = white @ np.array([[1.0, correlation], [0.0, math.sqrt(1 - correlation**2)]])
    return mixed


def test_two_correlated_codes_have_the_values_of_their_closed_forms() -> None:
    found = values("unsupervised", correlated(500, 0.6))
    assert found["gaussian_total_correlation"] == pytest.approx(-0.5 * math.log(1 - 0.36))
    # Eigenvalues 1.6 and 0.4 of variances 1: 2 * 2 - 2 (sqrt 1.6 + sqrt 0.4).
    distance = 4 - 2 * (math.sqrt(1.6) + math.sqrt(0.4))
    assert found["wasserstein_correlation"] == pytest.approx(distance)
    assert found["wasserstein_correlation_normalised"] == pytest.approx(distance / 2)


def test_information_of_codes_is_a_mean_over_pairs() -> None:
    # The first two are equal and have two values; the third is independent of them.
    codes = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]], dtype=float)
    assert values("unsupervised", codes)["code_mutual_information"] == pytest.approx(
        math.log(2) / 3
    )


def test_independent_codes_have_no_dependence() -> None:
    codes = np.indices((4, 5, 6)).reshape(3, -1).T * [1.0, -3.0, 0.5]
    for name, value in values("unsupervised", codes).items():
        assert value == pytest.approx(0.0, abs=1e-12), name


@pytest.mark.parametrize("scale", [1e-120, 1.0, 1e70])
def test_the_scale_of_codes_matters_to_one_number_only(scale: float) -> None:
    codes = correlated(200, 0.3)
    there, back = values("unsupervised", codes), values("unsupervised", scale * codes)
    there["wasserstein_correlation"] *= scale**2
    for name in DEPENDENCE:
        assert back[name] == pytest.approx(there[name], rel=1e-9), name


def test_a_constant_code_depends_on_nothing() -> None:
    codes = correlated(200, 0.6)
    with_one = np.c_[codes[:, 0], np.full(200, 0.1), codes[:, 1]]
    before, after = values("unsupervised", codes), scored("unsupervised", with_one)
    for name in DEPENDENCE[:3]:
        assert after[name].value == pytest.approx(before[name])
    assert after["code_mutual_information"].value == pytest.approx(
        before["code_mutual_information"] / 3
    )
    assert after["gaussian_total_correlation"].details["constant_codes"] == [1]


def test_codes_that_determine_each_other_have_no_total_correlation() -> None:
    codes = correlated(200, 0.6)
    found = scored("unsupervised", np.c_[codes, codes.sum(1)])
    total = found["gaussian_total_correlation"]
    assert total.value is None and "infinite" in str(total.error)
    assert all(found[name].value is not None for name in DEPENDENCE[1:])


@pytest.mark.filterwarnings("error")
def test_what_has_no_value_says_why() -> None:
    few = scored("unsupervised", np.random.default_rng(0).normal(size=(4, 6)))
    assert "4 rows are too few" in str(few["gaussian_total_correlation"].error)
    one = scored("unsupervised", np.arange(9.0)[:, None])
    assert one["gaussian_total_correlation"].value == 0.0
    assert "at least two, got one" in str(one["code_mutual_information"].error)
    dead = scored("unsupervised", np.full((9, 2), 0.1))
    assert "no code varies" in str(dead["wasserstein_correlation_normalised"].error)
    assert dead["wasserstein_correlation"].value == dead["code_mutual_information"].value == 0.0
    many = scored("unsupervised", np.zeros((3, 513)), uncertainty=False)
    assert "at most 512" in str(many["code_mutual_information"].error)
    for found in (few, one, dead, many):
        for each in found.values():
            json.dumps(each.model_dump(mode="json"), allow_nan=False)


def test_correlations_of_many_codes_do_not_fill_the_details(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = np.random.default_rng(0).normal(size=(20, 3))
    few = scored("unsupervised", codes, uncertainty=False)["gaussian_total_correlation"]
    np.testing.assert_allclose(few.details["correlation"], np.corrcoef(codes.T))
    monkeypatch.setattr("ml.metrics.posterior.unsupervised.MOST_LATENTS", 2)
    many = scored("unsupervised", codes, uncertainty=False)["gaussian_total_correlation"]
    assert "correlation" not in many.details and many.value == few.value


def test_the_distance_of_equal_codes_is_that_of_a_line() -> None:
    # tr S = 3, and S has the single eigenvalue 3.
    assert wasserstein_correlation(np.ones((3, 3))) == pytest.approx(6 - 2 * math.sqrt(3))


@pytest.mark.parametrize("name", ["unsupervised", "active_units"])
def test_scores_need_no_factors_and_have_intervals(name: str) -> None:
    codes = np.random.default_rng(0).normal(size=(300, 3)) * [1.0, 0.5, 0.1]
    first, again = scored(name, codes, seed=3), scored(name, codes, seed=3)
    for key, one in first.items():
        assert one.null is None and one.factors is None
        assert one.ci95 is not None and one.value is not None
        assert one.ci95[0] <= one.value <= one.ci95[1]
        assert one.model_dump(exclude={"seconds"}) == again[key].model_dump(exclude={"seconds"})


def test_latents_above_the_threshold_are_active() -> None:
    # Variances with the divisor 3: 4/3, 0.0108 and 0.0092 of 0.01.
    shape = np.array([-1.0, 1.0, -1.0, 1.0])
    codes = shape[:, None] * [1.0, 0.09, 0.083, 0.0]
    found = scored("active_units", codes)
    assert (found["active_units"].value, found["active_share"].value) == (2.0, 0.5)
    assert found["active_units"].details["active"] == [True, True, False, False]
    assert found["active_units"].details["variances"][0] == pytest.approx(4 / 3)
    stricter = values_of({"name": "active_units", "threshold": 0.02}, codes)
    assert stricter["active_units"] == 1.0


def values_of(metric: dict[str, Any], codes: np.ndarray) -> dict[str, float]:
    return dict(metric_of(metric).values(rows_of(codes, np.zeros((len(codes), 1), int))))


def test_a_latent_that_collapsed_is_not_active_in_samples_of_it() -> None:
    draws = np.random.default_rng(0)
    mean = draws.normal(size=(200, 2)) * [1.0, 0.0]
    sample = mean + draws.normal(size=(200, 2)) * [0.1, 1.0]
    rows = rows_of(mean, np.zeros((200, 1), int), posterior_logvar=np.log([[0.01, 1.0]] * 200))
    of_samples = type(rows)(
        sample, rows.factors, rows.factor_names, rows.factor_kinds, 150, posteriors=rows.posteriors
    )
    metric = metric_of("active_units")
    assert metric.values(of_samples)["active_units"] == 1.0
    # Nobody knows that these are samples.
    assert values_of({"name": "active_units"}, sample)["active_units"] == 2.0


@pytest.mark.parametrize("name", ["unsupervised", "active_units"])
def test_a_single_row_is_refused(name: str) -> None:
    rows = rows_of(np.eye(2), np.zeros((2, 1), int)).take(np.array([0]), 1)
    with pytest.raises(UnusableRows, match="at least two rows"):
        metric_of(name).compute(rows)
