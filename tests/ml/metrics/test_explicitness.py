import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ml import score
from ml.metrics.predictors.ranking import areas_under_curves
from ml.metrics.protocol import Score, UnusableRows


def explicitness_of(
    codes: np.ndarray, factors: np.ndarray, train_rows: int | None = None, **params: object
) -> dict[str, Score]:
    metric = {"name": "explicitness", **params}
    found = score(codes, factors, [metric], train_rows=train_rows, uncertainty=False)
    return {one.name: one for one in found}


def test_areas_worked_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.2], [0.3, 0.9]])
    classes = np.array([0, 0, 1, 1])
    # Class 0: 0.9 beats both, 0.4 ties one and beats the other. Class 1: 0.2 beats 0.1 alone, 0.9
    # both.
    np.testing.assert_allclose(areas_under_curves(scores, classes), [3.5 / 4, 3 / 4])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_areas_are_scikit_learns(seed: int, classes: int) -> None:
    draws = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), draws.integers(0, classes, 40)]
    scores = np.round(draws.normal(size=(len(labels), classes)), 1)
    expected = [roc_auc_score(labels == k, scores[:, k]) for k in range(classes)]
    np.testing.assert_allclose(areas_under_curves(scores, labels), expected)


@pytest.mark.parametrize("seed", range(4))
def test_areas_are_those_by_the_ranks_of_all_rows_to_the_last_bit(seed: int) -> None:
    draws = np.random.default_rng(seed)
    scores = draws.dirichlet(np.ones(7), 500).round(1 + seed)
    scores[::7, 2], scores[::5, 3], scores[3, 4] = -0.0, np.inf, np.nan
    labels = draws.integers(-1, 6, 500)  # The last class has no rows, and some rows have no class.
    ranks, own = rankdata(scores, axis=0), labels[:, None] == np.arange(7)
    number = own.sum(0)
    with np.errstate(invalid="ignore"):
        expected = ((ranks * own).sum(0) - number * (number + 1) / 2) / (number * (500 - number))
    assert np.isnan(expected[[4, 6]]).all()
    np.testing.assert_array_equal(areas_under_curves(scores, labels), expected)


def test_a_class_without_rows_or_with_all_of_them_has_no_area() -> None:
    areas = areas_under_curves(np.eye(3), np.array([1, 1, 1]))
    assert np.isnan(areas).all()
    areas = areas_under_curves(np.array([[0.1, 0.9, 0.5], [0.2, 0.1, 0.5]]), np.array([1, -1]))
    np.testing.assert_array_equal(areas, [np.nan, 1.0, np.nan])


@pytest.mark.parametrize("variant", ["multinomial", "one_vs_rest"])
def test_a_perfect_code_of_two_valued_factors_scores_one_and_noise_near_chance(
    variant: str,
) -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 2, (600, 2))
    for one in explicitness_of(1.0 - factors, factors, variant=variant).values():
        assert one.value == 1
    for one in explicitness_of(draws.normal(size=(600, 3)), factors, variant=variant).values():
        chance = 0.0 if variant == "one_vs_rest" else 0.5
        assert one.value == pytest.approx(chance, abs=0.1)


def test_the_multinomial_variant_is_scikit_learns() -> None:
    draws = np.random.default_rng(1)
    factors = draws.integers(0, 4, (300, 1))
    codes = np.c_[factors + draws.normal(size=(300, 1)), draws.normal(size=(300, 1))]
    found = explicitness_of(codes, factors, 200, C=0.5)
    scaled = (codes - codes[:200].mean(0)) / codes[:200].std(0)
    model = LogisticRegression(C=0.5).fit(scaled[:200], factors[:200, 0])
    for name, part in (("train", slice(0, 200)), ("test", slice(200, 300))):
        told = model.predict_proba(scaled[part])
        expected = roc_auc_score(factors[part, 0], told, multi_class="ovr", average="macro")
        assert found[f"explicitness_{name}"].value == pytest.approx(expected, abs=1e-9)


def test_a_class_seen_in_test_rows_only_is_one_of_the_others_there() -> None:
    factors = np.array([0, 1, 0, 1, 0, 1, 2])[:, None]
    codes = np.array([0.0, 1, 0, 1, 0, 1, 0.5])[:, None]
    found = explicitness_of(codes, factors, 4)
    # The row of class 2 lies between: both known classes stay on top of it and of each other.
    assert found["explicitness_test"].value == 1
    codes[6] = 5.0  # Now it has the highest probability of class 1: one of two pairs is lost.
    found = explicitness_of(codes, factors, 4)
    assert found["explicitness_test"].details["per_factor"] == [pytest.approx((1 + 0.5) / 2)]


def test_test_rows_of_a_single_class_are_reported() -> None:
    factors = np.array([0, 1, 0, 1, 1])[:, None]
    with pytest.raises(
        UnusableRows, match=r"1 test rows are all of one class.*'factor_0'.*more test rows"
    ):
        explicitness_of(np.random.rand(5, 2), factors, 4)
