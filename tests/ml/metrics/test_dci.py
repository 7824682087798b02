import math
import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from ml import score
from ml.metrics.disentanglement import (
    completeness,
    completeness_per_factor,
    disentanglement,
    disentanglement_per_code,
)
from ml.metrics.predictors.random_forest import _forest, _grow
from ml.metrics.protocol import Score, UnusableRows

TEN = np.diag(np.ones(10))
FIVE = np.diag(np.ones(5))
LN2 = math.log(2) / math.log(10)
STRUCTURE = ("disentanglement", "completeness")


def dci_of(
    codes: np.ndarray, factors: np.ndarray, train_rows: int | None = None, **params: object
) -> dict[str, Score]:
    metric = {"name": "dci", **params}
    found = score(codes, factors, [metric], train_rows=train_rows, uncertainty=False)
    return {one.name: one for one in found}


# Expected values of the tests of disentanglement_lib, commit 86a644d4.
@pytest.mark.parametrize(
    ("importance", "disentangled", "complete"),
    [
        pytest.param(TEN, 1, 1, id="one to one"),
        pytest.param(np.array([[1.0, 0], [0, 1], [0, 0]]), 1, 1, id="a dead code"),
        pytest.param(np.zeros((10, 10)), 0, 0, id="nothing"),
        pytest.param(np.vstack([FIVE, FIVE]), 1, 1 - LN2, id="two codes a factor"),
        pytest.param(np.hstack([FIVE, FIVE]), 1 - LN2, 1, id="two factors a code"),
    ],
)
def test_the_aggregations_on_their_published_cases(
    importance: np.ndarray, disentangled: float, complete: float
) -> None:
    assert disentanglement(importance) == pytest.approx(disentangled, abs=1e-12)
    assert completeness(importance) == pytest.approx(complete, abs=1e-12)


def test_the_aggregations_worked_by_hand() -> None:
    importance = np.array([[3.0, 1.0], [0.0, 4.0], [0.0, 0.0]])
    # Shares 3/4 and 1/4 have an entropy of 2 - 3/4 log2(3) bits.
    first = 0.75 * math.log2(3) - 1
    np.testing.assert_allclose(disentanglement_per_code(importance), [first, 1, 0])
    assert disentanglement(importance) == pytest.approx((first + 1) / 2)
    second = 1 - (0.2 * math.log(5) + 0.8 * math.log(1.25)) / math.log(3)
    np.testing.assert_allclose(completeness_per_factor(importance), [1, second])
    assert completeness(importance) == pytest.approx((3 * 1 + 5 * second) / 8)


def test_with_one_factor_or_one_code_there_is_nothing_to_mix() -> None:
    np.testing.assert_array_equal(disentanglement_per_code(np.array([[2.0], [0.0]])), [1, 0])
    np.testing.assert_array_equal(completeness_per_factor(np.array([[2.0, 0.0]])), [1, 0])


@pytest.mark.parametrize("predictor", ["gradient_boosting", "lasso", "linear"])
def test_of_one_factor_or_one_code_there_is_no_value_where_it_would_always_be_1(
    predictor: str,
) -> None:
    draws = np.random.default_rng(0)
    codes, factors = draws.normal(size=(60, 2)), draws.integers(0, 3, (60, 2))
    found = dci_of(codes, factors[:, :1], predictor=predictor)
    assert found["disentanglement"].value is None
    assert found["disentanglement"].error == (
        "disentanglement compares factors and needs at least two, got one"
    )
    assert found["completeness"].value is not None
    # What each code matters to it is told all the same.
    assert np.shape(found["disentanglement"].details["importance"]) == (2, 1)
    found = dci_of(codes[:, :1], factors, predictor=predictor)
    assert found["completeness"].value is None and found["disentanglement"].value is not None
    assert "needs at least two" in str(found["completeness"].error)


@pytest.mark.parametrize(
    "predictor", ["gradient_boosting", "logistic_regression", "lasso", "random_forest", "linear"]
)
def test_a_perfect_code_scores_one_and_noise_near_zero(predictor: str) -> None:
    factors = np.indices((3, 4, 2)).reshape(3, -1).T
    factors = np.tile(factors, (5, 1))
    params = {"predictor": predictor} | ({"cv": 2} if predictor == "random_forest" else {})
    found = dci_of(1.0 - factors, factors, **params)
    for name in ("disentanglement", "completeness"):
        # Regularised coefficients of other codes than the right one are small but not zero.
        assert found[name].value == pytest.approx(1, abs=0.1)
        assert found[name].value <= 1
        assert found[name].perfect == (None if predictor == "logistic_regression" else 1)
    for name, one in found.items():
        if name.startswith("informativeness"):
            assert one.value == pytest.approx(1, abs=1e-3)
            assert found[name.replace("informativeness", "error")].value == 1 - one.value
    noise = np.random.default_rng(0).normal(size=(120, 3))
    of_noise = dci_of(noise, factors, **params)
    if predictor != "lasso":
        assert of_noise["disentanglement"].value < 0.35
    told = of_noise.get("informativeness_test") or of_noise["informativeness"]
    # Guessing gets (1/3 + 1/4 + 1/2) / 3 of the classes; a forest remembers its rows.
    assert told.value < (0.9 if predictor == "random_forest" else 0.5)


def test_least_squares_worked_by_hand() -> None:
    """The first factor is half of each code, the second is the second code alone."""
    codes = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    factors = np.stack([codes.sum(1), codes[:, 1]], axis=1).astype(int)
    found = dci_of(codes, factors, 4, predictor="linear")
    np.testing.assert_allclose(
        found["disentanglement"].details["importance"], [[0.5, 0], [0.5, 1]], atol=1e-12
    )
    # The second code's shares are 1/3 and 2/3.
    second = 1 - (math.log2(3) - 2 / 3)
    assert found["disentanglement"].value == pytest.approx(0.25 + 0.75 * second)
    assert found["completeness"].value == pytest.approx(0.5)
    assert found["informativeness"].value == pytest.approx(1)


def test_r_squared_of_least_squares_on_half_of_the_variance() -> None:
    factors = np.array([[0], [1], [2], [3]])
    codes = np.array([[0.0], [0.0], [1.0], [1.0]])
    # Means 0.5 and 2.5 leave a quarter of the variance 5/4, on whatever scale.
    found = dci_of(codes, factors, predictor="linear")
    assert found["informativeness"].value == pytest.approx(0.8)
    assert found["error"].value == pytest.approx(0.2)


def test_logistic_importances_are_scikit_learns_coefficients_of_standardised_codes() -> None:
    draws = np.random.default_rng(5)
    factors = draws.integers(0, [3, 2], (200, 2))
    codes = (factors + 0.5 * draws.normal(size=(200, 2))) @ draws.normal(size=(2, 3))
    found = dci_of(codes, factors, 150, predictor="logistic_regression", C=0.3)
    train = (codes - codes[:150].mean(0)) / codes[:150].std(0)
    models = [LogisticRegression(C=0.3).fit(train[:150], y[:150]) for y in factors.T]
    expected = [np.abs(model.coef_).mean(0) for model in models]
    importance = found["disentanglement"].details["importance"]
    np.testing.assert_allclose(importance, np.transpose(expected), rtol=1e-6)
    right = [model.score(train[150:], y[150:]) for model, y in zip(models, factors.T, strict=True)]
    assert found["informativeness_test"].details["per_factor"] == pytest.approx(right)


def test_all_dead_codes_matter_to_nothing() -> None:
    factors = np.random.default_rng(6).integers(0, 3, (60, 2))
    for predictor in ("gradient_boosting", "lasso", "linear", "logistic_regression"):
        found = dci_of(np.full((60, 4), 0.1), factors, predictor=predictor)
        assert found["disentanglement"].value == 0
        assert found["completeness"].value == 0


def test_a_lasso_of_next_to_no_use_is_disentangled_all_the_same() -> None:
    factors = np.tile(np.indices((3, 4, 2)).reshape(3, -1).T, (5, 1))
    noise = np.random.default_rng(0).normal(size=(120, 3))
    found = dci_of(noise, factors, predictor="lasso")
    assert found["disentanglement"].value == 1
    assert found["informativeness"].value < 0.1


@pytest.mark.parametrize("predictor", ["lasso", "linear"])
def test_a_code_that_matters_to_none_ends_nothing(predictor: str) -> None:
    """The code of Carbonneau et al. leaves out all codes after it."""
    draws = np.random.default_rng(7)
    factors = draws.uniform(size=(400, 3))
    dead_first = dci_of(np.c_[np.zeros(400), factors], factors, predictor=predictor)
    dead_last = dci_of(np.c_[factors, np.zeros(400)], factors, predictor=predictor)
    assert dead_first["disentanglement"].value == pytest.approx(1, abs=1e-3)
    assert dead_last["disentanglement"].value == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("predictor", ["gradient_boosting", "random_forest"])
def test_repeats_average_what_the_seeds_give_one_by_one(predictor: str) -> None:
    draws = np.random.default_rng(8)
    factors = draws.integers(0, 3, (80, 2))
    codes = np.round(factors @ draws.normal(size=(2, 3)) + draws.normal(size=(80, 3)), 1)
    metric = {"name": "dci", "predictor": predictor}
    if predictor == "random_forest":
        metric["cv"] = 2
    alone = [score(codes, factors, [metric], seed=k, uncertainty=False)[0].value for k in (3, 4)]
    together = score(codes, factors, [{**metric, "repeats": 2}], seed=3, uncertainty=False)[0]
    assert together.details["repeats"]["values"] == alone
    assert together.value == pytest.approx(sum(alone) / 2)
    assert together.details["repeats"]["std"] == pytest.approx(abs(alone[0] - alone[1]) / 2**0.5)


def test_fewer_rows_than_folds_are_told() -> None:
    with pytest.raises(UnusableRows, match="5 rows cannot be dealt into 10 folds; lower cv"):
        dci_of(np.random.rand(5, 2), np.arange(5)[:, None], predictor="lasso")


@pytest.mark.parametrize("threads", [1, 3])
def test_a_forest_grown_bit_by_bit_is_the_forest_of_one_fit(threads: int) -> None:
    draws = np.random.default_rng(0)
    codes, asked = draws.normal(size=(200, 4)).astype(np.float32), []
    factor = codes[:, 0] + draws.normal(size=200)
    whole = RandomForestRegressor(10, max_depth=16, max_features=0.4, random_state=3)
    expected = whole.fit(codes, factor).predict(codes)
    grown = _grow(_forest(16, 0.4, 3, threads), codes, factor, lambda: asked.append(1))
    np.testing.assert_array_equal(grown.predict(codes), expected)
    assert len(asked) == -(-10 // threads)


@pytest.mark.parametrize("scale, offset", [(1e-9, 0.0), (1e-3, 1e6), (1e30, 0.0), (1.0, 1e9)])
def test_neither_scale_nor_offset_hides_codes_from_boosted_trees(
    scale: float, offset: float
) -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 3, (200, 2))
    codes = factors + 0.2 * draws.normal(size=factors.shape)
    plain, moved = dci_of(codes, factors), dci_of(codes * scale + offset, factors)
    for name in STRUCTURE:
        assert moved[name].value == pytest.approx(plain[name].value, abs=1e-3)


def test_a_lasso_of_codes_that_are_nearly_multiples_warns_nobody() -> None:
    draws, factors = np.random.default_rng(0), np.indices((4, 5)).reshape(2, -1).T.repeat(30, 0)
    codes = factors[:, [0, 0, 1]] * [1.0, 2.0, 1.0] + 1e-3 * draws.normal(size=(600, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dci_of(codes, factors, predictor="lasso")
    assert found["informativeness"].value == pytest.approx(1, abs=1e-3)
