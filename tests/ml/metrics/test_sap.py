import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from ml import score
from ml.metrics.prediction.sap import SAP, sap, squared_correlations
from ml.metrics.predictors.classes import Classes
from ml.metrics.predictors.linear_svm import _machines, accuracies, separators
from ml.metrics.protocol import Score, UnusableRows

CLASSIFIERS = ("linear_svm", "logistic_regression", "decision_tree")


def sap_of(
    codes: np.ndarray, factors: np.ndarray, train_rows: int | None = None, **params: object
) -> Score:
    metric = {"name": "sap", **params}
    (found,) = score(codes, factors, [metric], train_rows=train_rows, uncertainty=False)
    return found


def test_gaps_worked_by_hand() -> None:
    scores = np.array([[0.9, 0.2], [0.5, 0.2], [0.1, 0.6]])
    np.testing.assert_allclose(sap(scores), [0.4, 0.4])
    np.testing.assert_allclose(sap(scores[:1]), [0.9, 0.2])


def test_squared_correlations_worked_by_hand() -> None:
    codes = np.array([[0.0, 0.0, 7.0], [1.0, 1.0, 7.0], [2.0, 1.0, 7.0], [3.0, 0.0, 7.0]])
    factors = np.array([[0], [0], [1], [1]])
    # Deviations -1.5 -0.5 0.5 1.5 and -0.5 -0.5 0.5 0.5: 2^2 / (5 * 1); the others have none.
    np.testing.assert_allclose(squared_correlations(codes, factors), [[0.8], [0.0], [0.0]])


def test_correlation_looks_at_the_training_rows_and_linear_regression_at_all() -> None:
    codes = np.array([[0.0], [1.0], [2.0], [3.0], [9.0], [9.0]])
    factors = np.array([[0], [0], [1], [1], [0], [0]])
    found = sap_of(codes, factors, train_rows=4, predictor="correlation")
    assert found.value == pytest.approx(0.8)
    # Over all six rows: covariance sum -3, squares 86 and 4 / 3.
    found = sap_of(codes, factors, train_rows=4, predictor="linear_regression")
    assert found.value == pytest.approx(9 / (80 * 4 / 3))


def test_correlation_counts_codes_of_next_to_no_variance_as_dead_as_the_protocol_does() -> None:
    factors = np.arange(8)[:, None] % 2
    assert sap_of(factors * 1e-7, factors, 8, predictor="correlation").value == 0
    assert sap_of(factors * 1e-5, factors, 8, predictor="correlation").value == pytest.approx(1)
    assert sap_of(factors * 1e-7, factors, predictor="linear_regression").value == pytest.approx(1)


@pytest.mark.parametrize("predictor", CLASSIFIERS)
def test_a_perfect_code_of_two_valued_factors_leads_by_the_half_that_guessing_gets(
    predictor: str,
) -> None:
    grid = np.indices((2, 2)).reshape(2, -1).T
    factors = np.tile(grid, (50, 1))
    found = sap_of(2.0 * factors - 1, factors, train_rows=120, predictor=predictor)
    np.testing.assert_allclose(found.details["scores"], [[1.0, 0.5], [0.5, 1.0]])
    assert found.value == pytest.approx(0.5)


@pytest.mark.parametrize("predictor", ["correlation", "linear_regression"])
def test_a_perfect_code_scores_one_where_perfect_says_so(predictor: str) -> None:
    factors = np.indices((3, 4, 5)).reshape(3, -1).T
    found = sap_of(3.0 - 2 * factors[:, [2, 0, 1]], factors, 60, predictor=predictor)
    assert found.perfect == 1
    assert found.value == pytest.approx(1.0)


@pytest.mark.parametrize("predictor", CLASSIFIERS)
def test_no_value_is_promised_of_a_perfect_code_where_the_second_best_guesses(
    predictor: str,
) -> None:
    (number,) = SAP(predictor=predictor).reported()
    assert number.perfect is None


def test_values_between_others_are_beyond_lines_and_not_beyond_trees() -> None:
    factors = np.tile(np.arange(10), 30)[:, None]
    codes = factors - 4.5
    lines = sap_of(codes, factors, 150)
    trees = sap_of(codes, factors, predictor="decision_tree")
    assert lines.details["scores"][0][0] < 0.5
    assert trees.details["scores"] == [[1.0]]


def test_the_duplicate_of_the_best_code_closes_the_gap() -> None:
    draws = np.random.default_rng(2)
    factors = draws.integers(0, 4, (300, 1))
    code = factors + 0.1 * draws.normal(size=(300, 1))
    for predictor in (*CLASSIFIERS, "correlation", "linear_regression"):
        assert sap_of(np.c_[code, code], factors, predictor=predictor).value == pytest.approx(0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_machines_are_scikit_learns(seed: int) -> None:
    draws = np.random.default_rng(seed)
    samples, classes = draws.integers(20, 200), draws.integers(2, 7)
    labels = np.r_[np.arange(classes), draws.integers(0, classes, samples)]
    code = draws.normal(size=len(labels)) + draws.normal() * labels
    code = code * 10 ** draws.uniform(-1, 1) + draws.normal(scale=3)
    if seed % 2:
        code = np.round(code)  # Equal values.
    c = 10 ** draws.uniform(-3, 0)
    slopes, offsets = separators(code, [Classes(labels, labels)], c)
    theirs = LinearSVC(C=c, class_weight="balanced", dual=False, tol=1e-12, max_iter=10_000)
    theirs.fit(code[:, None], labels)
    np.testing.assert_allclose(slopes, theirs.coef_[:, 0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(offsets, theirs.intercept_, rtol=1e-5, atol=1e-7)
    decisions = theirs.decision_function(code[:, None])
    ordered = np.sort(decisions, axis=1) if classes > 2 else np.c_[np.zeros(len(code)), decisions]
    assume(np.abs(ordered[:, -1] - ordered[:, -2]).min() > 1e-6)  # Otherwise rounding decides.
    (right,) = accuracies(code, code, [Classes(labels, labels)], c)
    assert right == pytest.approx(theirs.score(code[:, None], labels), abs=1e-12)


def test_a_machine_worked_by_hand() -> None:
    """Rows -1 and 1: w minimises w^2 / 2 + 2 c (1 - w)^2, so that w = 4 c / (1 + 4 c)."""
    code, labels = np.array([-1.0, 1.0]), np.array([0, 1])
    slopes, offsets = separators(code, [Classes(labels, labels)], 0.25)
    np.testing.assert_allclose([slopes, offsets], [[0.5], [0.0]], atol=1e-15)


def test_factors_together_get_the_machines_that_each_gets_alone() -> None:
    draws = np.random.default_rng(3)
    code = draws.normal(size=100)
    factors = [Classes(k, k) for k in draws.integers(0, [[2], [5], [3]], (3, 100))]
    slopes, offsets = separators(code, factors, 0.1)
    alone = [separators(code, [factor], 0.1) for factor in factors]
    np.testing.assert_allclose(slopes, np.concatenate([one[0] for one in alone]), atol=1e-12)
    np.testing.assert_allclose(offsets, np.concatenate([one[1] for one in alone]), atol=1e-12)


@pytest.mark.parametrize("numbers", [(2, 3, 40), (40, 2), (1, 70_000)])
def test_the_rows_of_each_machine_and_their_sums_are_found_as_one_by_one(
    numbers: tuple[int, ...],
) -> None:
    draws = np.random.default_rng(0)
    rows = max(1000, *numbers)
    code = draws.normal(size=rows).round(1)  # Many rows share their value.
    labels = [draws.permutation(np.arange(rows) % number) for number in numbers]
    machines = _machines(code, [Classes(label, label[:0]) for label in labels], 0.01)
    order = np.argsort(code, kind="stable")
    for x, sums in (
        (code[order], machines.running),
        (code[order][machines.members % (rows + 1)], machines.members_running),
    ):
        plain = np.cumsum(np.stack([np.ones_like(x), x, x * x], axis=1), axis=0)
        np.testing.assert_array_equal(sums, np.concatenate([np.zeros((1, 3)), plain]))
    of, places = np.divmod(machines.members, rows + 1)
    assert (np.diff(machines.members) > 0).all()
    own = np.concatenate(
        [
            [(label == 1).sum()] if n == 2 else np.bincount(label)
            for label, n in zip(labels, numbers, strict=True)
        ]
    )
    np.testing.assert_array_equal(np.bincount(of), own)
    first = 0
    for label, number in zip(labels, numbers, strict=True):
        machine = of - first
        its = (machine >= 0) & (machine < (1 if number == 2 else number))
        expected = 1 if number == 2 else machine[its]
        assert (label[order][places[its]] == expected).all()
        first += 1 if number == 2 else number


def test_the_depth_of_a_decision_tree_is_the_one_that_a_grid_search_finds() -> None:
    draws = np.random.default_rng(4)
    factor = draws.integers(0, 6, 240)
    codes = np.stack([factor + 0.4 * draws.normal(size=240), draws.normal(size=240)], axis=1)
    found = sap_of(codes, factor[:, None], predictor="decision_tree", cv=5).details["scores"]
    depths = {"max_depth": range(1, 10)}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), depths, cv=5)
    expected = [search.fit(code[:, None], factor).score(code[:, None], factor) for code in codes.T]
    np.testing.assert_allclose(np.ravel(found), expected, atol=1e-12)


def test_decision_trees_need_a_class_with_a_row_for_every_fold() -> None:
    factors = np.arange(12)[:, None] % 4
    with pytest.raises(UnusableRows, match=r"'factor_0'.*10 folds, the largest has 3; lower cv"):
        sap_of(np.random.rand(12, 2), factors, predictor="decision_tree")
    assert sap_of(1.0 * factors, factors, predictor="decision_tree", cv=3).value == 1
