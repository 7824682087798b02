"""Unfairness of predictions of one factor towards another."""

import numpy as np
import pytest

from ml import score
from ml.metrics.prediction.fairness import mean_and_most, total_variations
from ml.metrics.protocol import Score


def fairness_of(codes: np.ndarray, factors: np.ndarray, **params: object) -> dict[str, Score]:
    metric = {"name": "fairness", "predictor": "logistic_regression", **params}
    found = score(codes, factors, [metric], uncertainty=False)
    return {one.name: one for one in found}


def test_total_variations_of_published_counts() -> None:
    # Predictions are [0, 1] for the first value, [1/2, 1/2] for the second, [1/3, 2/3] for all.
    counts = np.array([[0, 100], [100, 100]])
    np.testing.assert_allclose(total_variations(counts), [1 / 3, 1 / 6])
    assert mean_and_most(counts) == pytest.approx((2 / 9, 1 / 3))


def test_equal_predictions_are_fair_and_opposite_ones_are_not() -> None:
    assert mean_and_most(np.array([[10, 20], [30, 60]])) == (0.0, 0.0)
    assert mean_and_most(np.array([[50, 0], [0, 50]])) == (0.5, 0.5)


def grid(repeats: int) -> np.ndarray:
    """Every combination of two factors of two values, in each of four equal parts."""
    return np.tile(np.indices((2, 2)).reshape(2, -1).T, (repeats, 1))


@pytest.mark.parametrize("predictor", ["gradient_boosting", "logistic_regression"])
def test_perfect_codes_on_a_grid_are_fair(predictor: str) -> None:
    factors = grid(20)
    found = fairness_of(factors + 0.0, factors, predictor=predictor)
    assert (found["unfairness"].value, found["unfairness_max"].value) == (0.0, 0.0)
    assert found["unfairness"].details["targets_by_sensitive"] == [[None, 0.0], [0.0, None]]
    assert found["unfairness"].details["accuracy"] == [1.0, 1.0]


def test_a_target_that_is_predicted_from_the_sensitive_factor_is_unfair_to_it() -> None:
    # One code, the second factor. It tells of the first as they agree in most training rows.
    factors = grid(20)
    factors[1:60:8, 0], factors[2:60:8, 0] = 1, 0
    found = fairness_of(factors[:, 1:] + 0.0, factors)
    # The first factor is predicted to be the second: each value is half from the pooled share.
    assert found["unfairness"].details["targets_by_sensitive"][0][1] == 0.5
    assert found["unfairness"].details["targets_by_sensitive"][1][0] == 0.0
    assert found["unfairness"].value == 0.25


def test_its_null_is_what_chance_adds_to_predictions_that_depend_on_nothing() -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, [2, 8], (800, 2))
    asked = {"name": "fairness", "predictor": "logistic_regression"}
    fair = score(factors + 0.0, factors, [asked])[0]
    assert fair.null is not None and fair.value is not None
    # Of 200 test rows no distance is 0 by chance.
    assert fair.null.mean > 0.03
    assert abs(fair.value - fair.null.mean) < 3 * fair.null.std
    mixed = score(factors.sum(1, keepdims=True) + 0.0, factors, [asked])[0]
    assert mixed.value is not None and mixed.null is not None
    assert mixed.value > mixed.null.mean + 5 * mixed.null.std
    assert mixed.null.replicates == 50


def test_a_single_factor_has_no_other_to_be_unfair_to() -> None:
    (found, _) = fairness_of(np.arange(20.0)[:, None], grid(5)[:, :1]).values()
    assert found.value is None
    assert found.error == "unfairness is towards another factor and needs at least two, got one"
