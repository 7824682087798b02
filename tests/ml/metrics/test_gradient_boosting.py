"""Gradient boosting, with scikit-learn as the witness."""

import platform
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.tree import DecisionTreeRegressor

from ml.metrics.predictors._gradient_boosting import GradientBoosting, SingleClass, classifier, fit
from ml.metrics.predictors._gradient_boosting._grow import grow, workspace
from ml.metrics.predictors._gradient_boosting._newton_step import pairwise_sum
from ml.metrics.predictors._gradient_boosting._nodes import LEAF, NODE


def problem(rows: int, features: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Continuous codes and labels that depend on the first two; every class has a row."""
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(rows, features))
    signal = x[:, 0] + 0.5 * x[:, 1 % features] + 0.3 * draws.normal(size=rows)
    return x, signal.argsort().argsort() * classes // rows


def theirs(x: np.ndarray, y: np.ndarray, **params: float) -> GradientBoostingClassifier:
    return GradientBoostingClassifier(**{"random_state": 0, **params}).fit(x, y)


def assert_same(
    ours: GradientBoosting, reference: GradientBoostingClassifier, x: np.ndarray
) -> None:
    """Trees, importances and predictions are the same but for the last bits."""
    assert ours.trees.shape[:2] == reference.estimators_.shape
    for place in product(*map(range, ours.trees.shape[:2])):
        nodes, tree = ours.trees[place], reference.estimators_[place].tree_
        nodes = nodes[nodes["samples"] > 0]
        np.testing.assert_array_equal(nodes["left"], tree.children_left)
        np.testing.assert_array_equal(nodes["right"], tree.children_right)
        np.testing.assert_array_equal(nodes["samples"], tree.n_node_samples)
        splits = nodes["left"] != LEAF
        np.testing.assert_array_equal(nodes["feature"][splits], tree.feature[splits])
        np.testing.assert_array_equal(nodes["threshold"][splits], tree.threshold[splits])
        np.testing.assert_allclose(nodes["value"], tree.value[:, 0, 0], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(nodes["impurity"], tree.impurity, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(
        ours.feature_importances_, reference.feature_importances_, rtol=0, atol=1e-14
    )
    np.testing.assert_array_equal(ours.classes_, reference.classes_)
    np.testing.assert_array_equal(ours.predict(x), reference.predict(x))
    raw = reference.decision_function(x)
    np.testing.assert_allclose(ours.decision_function(x), raw, rtol=1e-11, atol=1e-13)
    likely = reference.predict_proba(x)
    np.testing.assert_allclose(ours.predict_proba(x), likely, rtol=1e-11, atol=1e-14)


SHAPES = {
    "two classes": (500, 5, 2, 30),
    "three classes": (1500, 10, 3, 30),
    "ten classes": (1000, 6, 10, 10),
    "183 classes": (400, 4, 183, 2),
    "one feature": (300, 1, 4, 20),
    "ten rows": (10, 3, 3, 100),
    "more rows than 16 bits count": (70_000, 2, 3, 2),
    "two classes of as many rows": (70_000, 2, 2, 2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_trees_on_continuous_codes_are_scikit_learns(shape: str) -> None:
    *sizes, iterations = SHAPES[shape]
    x, y = problem(*sizes)
    unseen = np.random.default_rng(1).normal(size=(500, x.shape[1]))
    ours = fit(x, y, random_state=0, n_estimators=iterations)
    assert_same(ours, theirs(x, y, n_estimators=iterations), np.concatenate([x, unseen]))


def constant_columns(x: np.ndarray) -> np.ndarray:
    return np.insert(x, [0, 2], [[1.5, 0.0]], axis=1)


ODD = {
    "constant columns": constant_columns,
    "no column that varies": np.zeros_like,
    "single precision": lambda x: x.astype(np.float32),
    "columns in memory one after another": np.asfortranarray,
    "integers": lambda x: x.argsort(axis=0),
    "values too close to tell apart": lambda x: x * 1e-7,
    "neighbours too close to tell apart": lambda x: x.argsort(axis=0).argsort(axis=0) * 0.9e-7,
    "some neighbours too close": lambda x: x * 1e-6,
}


@pytest.mark.parametrize("case", ODD)
def test_trees_on_odd_codes_are_scikit_learns(case: str) -> None:
    x, y = problem(300, 4, 4)
    x = ODD[case](x)
    assert_same(fit(x, y, random_state=0, n_estimators=20), theirs(x, y, n_estimators=20), x)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="elsewhere compilers fuse multiplication and addition, each where it likes",
)
@pytest.mark.parametrize("classes", [2, 5])
def test_trees_are_scikit_learns_to_the_last_bit(classes: int) -> None:
    x, y = problem(1000, 6, classes)
    x = constant_columns(x)
    ours, reference = fit(x, y, random_state=0), theirs(x, y)
    for place in product(*map(range, ours.trees.shape[:2])):
        nodes, tree = ours.trees[place], reference.estimators_[place].tree_
        nodes = nodes[nodes["samples"] > 0]
        np.testing.assert_array_equal(nodes["value"], tree.value[:, 0, 0])
        np.testing.assert_array_equal(nodes["impurity"], tree.impurity)
    np.testing.assert_array_equal(ours.feature_importances_, reference.feature_importances_)
    np.testing.assert_array_equal(ours.decision_function(x), reference.decision_function(x))
    np.testing.assert_array_equal(ours.predict_proba(x), reference.predict_proba(x))


def test_a_class_of_a_single_row_and_any_integers_as_labels() -> None:
    x, _ = problem(100, 3, 2)
    y = np.full(100, -7)
    y[40] = 12
    assert_same(fit(x, y, random_state=0), theirs(x, y), x)
    y[:30] = 3
    assert_same(fit(x, y.astype(np.int8), random_state=0), theirs(x, y), x)


@pytest.mark.parametrize("seed", range(4))
def test_ties_are_broken_as_in_scikit_learn_where_sums_are_exact(seed: int) -> None:
    draws = np.random.default_rng(seed)
    x = draws.integers(0, [2, 2, 2, 2, 3, 4, 30], size=(800, 7))
    signal = x @ [8, 4, 2, 1, 1, 1, 1] + draws.normal(size=800)
    y = signal.argsort().argsort() // 200  # As many of each, so that gradients are quarters.
    params = {"random_state": seed, "n_estimators": 1, "max_depth": 7}
    assert_same(fit(x, y, **params), theirs(x, y, **params), x)


def test_leaves_with_nothing_left_to_learn_are_scikit_learns() -> None:
    x, y = problem(60, 2, 2)
    x[:, 0] += 10 * y
    params = {"n_estimators": 3, "learning_rate": 1000.0, "random_state": 0}
    ours = fit(x, y, **params)
    assert (ours.trees[-1, 0]["value"] == 0).all()  # Each probability is 0 or 1 to all digits.
    assert_same(ours, theirs(x, y, **params), x)


def test_variance_that_is_only_rounding_is_split_where_scikit_learn_does() -> None:
    draws, sizes = np.random.default_rng(0), []
    for rows in range(20, 560, 10):
        x, targets = draws.normal(size=(rows, 3)), np.full(rows, -0.95)
        tree = DecisionTreeRegressor(max_depth=3, random_state=0).fit(x, targets).tree_
        columns = np.ascontiguousarray(x.T, np.float32)
        nodes, seed = np.zeros(15, NODE), np.random.RandomState(0).randint(2**31 - 1)
        by_value = columns.argsort(axis=1).astype(np.uint32)
        grow(columns, by_value, targets, seed, 3, workspace(3, rows), nodes)
        nodes = nodes[nodes["samples"] > 0]
        np.testing.assert_array_equal(nodes["samples"], tree.n_node_samples)
        np.testing.assert_allclose(nodes["impurity"], tree.impurity, atol=1e-17)
        sizes.append(len(nodes))
    assert min(sizes) == 1
    assert max(sizes) > 3


def test_depth_rate_and_seed_are_scikit_learns() -> None:
    x, y = problem(2000, 5, 3)
    for depth in (1, 6):
        params = {"max_depth": depth, "n_estimators": 5, "learning_rate": 0.7, "random_state": 9}
        assert_same(fit(x, y, **params), theirs(x, y, **params), x)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(2, 5), st.integers(0, 2**31))
def test_trees_on_few_rows_are_scikit_learns(
    rows: int, features: int, classes: int, seed: int
) -> None:
    x, y = problem(rows, features, min(classes, rows), seed)
    y = np.random.default_rng(seed).permutation(y)  # Nothing to learn, hence gains close to nil.
    params = {"random_state": seed, "n_estimators": 4}
    assert_same(fit(x, y, **params), theirs(x, y, **params), x)


def test_repeated_rows_make_scikit_learns_trees() -> None:
    x, y = problem(300, 4, 3)
    x, y = np.tile(x, (2, 1)), np.tile(y, 2)
    assert_same(fit(x, y, random_state=0, n_estimators=20), theirs(x, y, n_estimators=20), x)


def importances(x: np.ndarray, y: np.ndarray, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Ours and scikit-learn's, (seeds, features)."""
    params = {"n_estimators": 15}
    each = range(seeds)
    ours = [fit(x, y, random_state=s, **params).feature_importances_ for s in each]
    published = [theirs(x, y, random_state=s, **params).feature_importances_ for s in each]
    return np.array(ours), np.array(published)


def test_importances_of_rounded_codes_lie_within_scikit_learns_spread_over_seeds() -> None:
    x, y = problem(100, 5, 4)
    ours, published = importances(x.round(1), y, 8)
    spread = np.ptp(published, axis=0)
    assert spread.min() > 0.002
    assert (np.abs(ours - published) < spread / 2).all()
    assert (ours >= published.min(axis=0) - spread / 4).all()
    assert (ours <= published.max(axis=0) + spread / 4).all()


def test_chance_shares_importance_among_two_equal_codes_and_leaves_the_others_alone() -> None:
    x, y = problem(600, 5, 4)
    x = x.round()
    x[:, 3] = x[:, 0]
    ours, published = importances(x, y, 6)
    others = [1, 2, 4]
    np.testing.assert_allclose(ours[:, others], published[:, others], atol=1e-12)
    for found in (ours, published):
        assert 0.05 < np.ptp(found[:, 0]) < 0.35
        assert 0.3 < found[:, 0].mean() < 0.45  # About half of what the two have, 0.755.


def test_two_rows_worked_by_hand() -> None:
    model = fit(np.array([[0.0], [1.0]]), np.array([0, 1]), random_state=0, n_estimators=1)
    root, left, right = model.trees[0, 0][:3]
    # p = 1/2 for both rows, hence gradients -1/2 and 1/2, hessians 1/4, and steps of -2 and 2.
    assert (root["threshold"], root["impurity"], root["samples"]) == (0.5, 0.25, 2)
    assert (left["value"], right["value"]) == (-2.0, 2.0)
    np.testing.assert_allclose(model.decision_function(np.array([[0.0], [1.0]])), [-0.2, 0.2])
    np.testing.assert_array_equal(model.feature_importances_, [1.0])


def walked(model: GradientBoosting, x: np.ndarray) -> np.ndarray:
    """Raw predictions (trees, samples) by taking each row down each tree."""
    raw = np.repeat(model.prior[:, None], len(x), axis=1)
    for trees, k in product(model.trees, range(len(raw))):
        nodes = trees[k]
        for row, values in enumerate(x.astype(np.float32)):
            node = nodes[0]
            while node["left"] != LEAF:
                goes_left = values[node["feature"]] <= node["threshold"]
                node = nodes[node["left"] if goes_left else node["right"]]
            raw[k, row] += model.learning_rate * node["value"]
    return raw


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_rows_go_down_the_trees_as_one_by_one(classes: int, depth: int) -> None:
    # The rows do not fill their last block, and many lie on a threshold or share their values.
    x, y = problem(1100, 3, classes)
    x = np.concatenate([x.round(1)[:, :2], np.full((1100, 1), 5.0)], axis=1)
    model = fit(x[:40], y[:40], random_state=0, n_estimators=2, max_depth=depth)
    places = model.trees["threshold"][model.trees["left"] != LEAF]
    x[-len(places) :, 0] = places
    raw = model.decision_function(x)
    np.testing.assert_array_equal(raw if raw.ndim == 1 else raw.T, walked(model, x).squeeze())


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_of_the_fit_are_predicted_at_no_cost(classes: int) -> None:
    x, y = problem(1100, 3, classes)
    for rows in (x, x.round(1), x * [1e-30, 1e30, 0]):
        model = fit(rows, 10 * y, random_state=0, n_estimators=5)
        raw = model.decision_function(rows)
        np.testing.assert_array_equal(raw if raw.ndim == 1 else raw.T, model.fitted.squeeze())
        np.testing.assert_array_equal(model.predict_fitted(), model.predict(rows))


@pytest.mark.parametrize("classes", [2, 7])
def test_threads_do_not_change_a_bit(classes: int) -> None:
    x, y = problem(800, 5, classes)
    one, two = (fit(x, y, random_state=0, n_estimators=20, threads=t) for t in (1, 2))
    assert one.trees.tobytes() == two.trees.tobytes()
    assert one.feature_importances_.tobytes() == two.feature_importances_.tobytes()


class Stopped(Exception):
    pass


class StopAt:
    """Asks to stop at the given call."""

    def __init__(self, call: float) -> None:
        self.call, self.calls = call, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.call:
            raise Stopped


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("seconds", "questions"), [(60.0, 8), (-1.0, 8 + 8 * 5)])
def test_asks_before_each_iteration_and_where_that_is_long_after_each_tree(
    threads: int, seconds: float, questions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "_SECONDS_BETWEEN_QUESTIONS", seconds)
    x, y = problem(100, 3, 5)
    params = {"random_state": 0, "n_estimators": 8, "threads": threads}
    never = StopAt(np.inf)
    fit(x, y, continue_or_stop=never, **params)
    assert never.calls == questions
    for call in (1, 4, questions):
        stop = StopAt(call)
        with pytest.raises(Stopped):
            fit(x, y, continue_or_stop=stop, **params)
        assert stop.calls == call


def test_predicting_can_be_stopped() -> None:
    x, y = problem(100, 3, 5)
    stop = StopAt(3)
    with pytest.raises(Stopped):
        fit(x, y, random_state=0, n_estimators=8).predict(x, continue_or_stop=stop)
    assert stop.calls == 3


def test_errors_for_a_single_class() -> None:
    with pytest.raises(SingleClass, match="all labels are 4"):
        fit(np.zeros((5, 2)), np.full(5, 4), random_state=0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(4), np.arange(4), r"\(samples, features\), got shape \(4,\)"),
        (np.zeros((4, 0)), np.arange(4), r"got shape \(4, 0\)"),
        (np.zeros((4, 2)), np.arange(3), r"4 integers, got int64 of shape \(3,\)"),
        (np.zeros((4, 2)), np.arange(4.0), "4 integers, got float64"),
        (np.full((4, 2), 1e39), np.arange(4), "not finite in single precision"),
    ],
    ids=["one axis", "no features", "too few labels", "labels with decimals", "too large"],
)
def test_errors_for_unusable_arrays(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(x, y, random_state=0)


def test_errors_for_other_features_than_fitted() -> None:
    model = fit(*problem(20, 3, 2), random_state=0, n_estimators=1)
    with pytest.raises(ValueError, match="expected 3 features, got 2"):
        model.predict(np.zeros((5, 2)))


@pytest.mark.parametrize("size", [1, 7, 8, 15, 128, 129, 136, 137, 1000, 4097, 100_003])
def test_sums_are_numpys_to_the_last_bit(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size + 5) * 1e3
    assert pairwise_sum(values, 5, size) == values[5:].sum()
