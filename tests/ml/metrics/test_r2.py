"""R² of all codes for each factor, by hand and beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ml import score
from ml.codes.scaling import standardised
from ml.metrics.identifiability.kernel_ridge import kernel_ridge
from ml.metrics.protocol import ConstantFactor, Score
from tests.ml.golden import arrays

KERNEL = {"name": "r2", "predictor": "kernel_ridge"}


def r2(codes: np.ndarray, factors: np.ndarray, metric: object = "r2", **rest: int) -> list[Score]:
    return score(codes, factors, metric, uncertainty=False, **rest)  # type: ignore[arg-type]


def test_by_hand_on_two_training_rows_and_two_test_rows() -> None:
    codes, factors = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.0], [1.0], [2.0], [5.0]])
    train, test = r2(codes, factors, train_rows=2)
    # The line through the first two predicts 2 and 3: (0 + 4) / ((1.5)^2 + (1.5)^2).
    assert train.value == pytest.approx(1.0)
    assert test.value == pytest.approx(1 - 4 / 4.5)


@pytest.mark.parametrize("problem", ["p04_overcomplete_dead", "p09_tiny"])
def test_lines_are_scikit_learns(problem: str) -> None:
    codes, factors = arrays(problem)
    train = 200
    found = r2(codes, factors, train_rows=train)
    model = LinearRegression().fit(codes[:train].astype(np.float64), factors[:train])
    for one, part in zip(found, (slice(0, train), slice(train, None)), strict=True):
        expected = r2_score(factors[part], model.predict(codes[part]), multioutput="raw_values")
        assert one.details["per_factor"] == pytest.approx(expected, abs=1e-6)
        assert one.value == pytest.approx(expected.mean(), abs=1e-6)


def test_kernels_are_scikit_learns_with_the_penalty_that_leaving_one_out_prefers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes, factors = arrays("p09_tiny")
    train, penalties = 60, (1e-2, 1.0)
    monkeypatch.setattr("ml.metrics.identifiability.kernel_ridge.PENALTIES", penalties)
    (_, found) = r2(codes, factors, {**KERNEL, "gamma": 0.3}, train_rows=train)
    known, targets = standardised(codes, train), factors.astype(np.float64)
    mean = targets[:train].mean(0)
    for k, value in enumerate(found.details["per_factor"]):
        models = [KernelRidge(alpha=a, kernel="rbf", gamma=0.3) for a in penalties]
        left_out = [
            sum(
                (
                    model.fit(
                        np.delete(known[:train], i, 0), np.delete(targets[:train, k], i) - mean[k]
                    ).predict(known[[i]])[0]
                    + mean[k]
                    - targets[i, k]
                )
                ** 2
                for i in range(train)
            )
            for model in models
        ]
        best = models[int(np.argmin(left_out))].fit(known[:train], targets[:train, k] - mean[k])
        expected = r2_score(targets[train:, k], best.predict(known[train:]) + mean[k])
        assert value == pytest.approx(expected, abs=1e-9)


def test_the_width_is_the_median_distance() -> None:
    # Squared distances 1, 9 and 4.
    assert kernel_ridge(np.array([[0.0], [1.0], [3.0]]), None).gamma == pytest.approx(1 / 4)
    assert kernel_ridge(np.zeros((3, 2)), None).gamma == 1.0


def test_a_rotated_code_has_all_and_a_bent_one_only_by_the_kernel() -> None:
    draws = np.random.default_rng(0)
    factors = draws.uniform(size=(600, 2))
    turned = factors @ np.array([[1.0, 1.0], [1.0, -1.0]])
    bent = np.c_[np.cos(np.pi * turned[:, 0]), np.sin(np.pi * turned[:, 0]), turned[:, 1]]
    assert r2(turned, factors)[1].value == pytest.approx(1.0)
    straight, curved = r2(bent, factors)[1].value, r2(bent, factors, KERNEL)[1].value
    assert straight is not None and curved is not None
    assert straight < 0.9 and curved > 0.99


def test_noise_is_below_zero_and_its_null_says_so() -> None:
    draws = np.random.default_rng(0)
    found = score(draws.normal(size=(120, 20)), draws.integers(0, 4, (120, 2)), "r2")
    _, test = found
    assert test.value is not None and test.null is not None
    assert test.value < 0 and test.null.mean < 0 and test.null.replicates == 50


def test_a_factor_that_is_constant_on_test_rows_is_named() -> None:
    codes = np.arange(8.0)[:, None]
    factors = np.array([0, 1, 0, 1, 0, 1, 1, 1])[:, None]
    with pytest.raises(ConstantFactor, match=r"'factor_0'.* 1 on the test rows; shuffle"):
        r2(codes, factors)


def test_kernel_rows_are_drawn_by_the_seed() -> None:
    codes, factors = arrays("p09_tiny")
    metric = {**KERNEL, "kernel_rows": 50}
    train, _ = r2(codes, factors, metric, seed=1)
    assert train.details["fitted_rows"] == 50
    assert train.value == r2(codes, factors, metric, seed=1)[0].value
    assert train.value != r2(codes, factors, metric, seed=2)[0].value
