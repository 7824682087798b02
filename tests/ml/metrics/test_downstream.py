"""Accuracy of predicting factors by the number of training rows."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import KFold

from ml import score
from ml.codes.checked_rows import rows_of
from ml.components.spec_errors import InvalidSpec
from ml.evaluation.score import metric_of
from ml.metrics.predictors.classifiers import best_penalty
from ml.metrics.protocol import Score, UnusableRows


def downstream_of(
    codes: np.ndarray, factors: np.ndarray, train_rows: int, **params: object
) -> dict[str, Score]:
    metric = {"name": "downstream", **params}
    found = score(codes, factors, [metric], train_rows=train_rows, uncertainty=False)
    return {one.name: one for one in found}


def drawn(samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    factors = np.stack([draws.integers(0, size, samples) for size in (2, 3)], axis=1)
    noise = draws.normal(size=(samples, 3))
    return np.c_[factors + 0.7 * noise[:, :2], noise[:, 2]], factors


def test_each_size_fits_the_first_rows_as_scikit_learn_does() -> None:
    codes, factors = drawn(400)
    boosted = downstream_of(codes, factors, 150, sizes=[10, 100])
    linear = downstream_of(codes, factors, 150, sizes=[10, 100], predictor="logistic_regression")
    for size in (10, 100):
        scaled = (codes - codes[:size].mean(0)) / codes[:size].std(0)
        for found, model, given in (
            (boosted, GradientBoostingClassifier(random_state=0), codes.astype(np.float32)),
            (linear, LogisticRegression(), scaled),
        ):
            right = [
                model.fit(given[:size], factor[:size]).score(given[150:], factor[150:])
                for factor in factors.T
            ]
            details = found[f"accuracy_{size}"].details
            assert details["per_factor"] == pytest.approx(right, abs=1e-12)
            assert found[f"accuracy_{size}"].value == pytest.approx(np.mean(right))
            assert details["min"] == pytest.approx(min(right))


@pytest.mark.parametrize("name", ["downstream", "fairness", "strong_generalisation"])
@pytest.mark.parametrize(("scale", "offset"), [(1e-9, 0.0), (1e30, 0.0), (1.0, 1e8)])
def test_scale_and_offset_of_codes_are_nothing_to_boosted_trees(
    name: str, scale: float, offset: float
) -> None:
    codes, factors = drawn(200)
    metric = {"name": name, **({"sizes": [100]} if name == "downstream" else {})}
    plain, moved = (
        [one.value for one in score(some, factors, metric, uncertainty=False)]
        for some in (codes, codes * scale + offset)
    )
    assert moved == pytest.approx(plain, abs=0.02)


def test_efficiency_is_the_accuracy_of_few_rows_as_a_share_of_that_of_the_most() -> None:
    codes, factors = drawn(1200)
    found = downstream_of(codes, factors, 1000, sizes=[100, 1000], predictor="logistic_regression")
    few, most = found["accuracy_100"].value, found["accuracy_1000"].value
    assert few is not None and most is not None
    assert found["efficiency"].value == pytest.approx(few / most)
    assert "efficiency" not in downstream_of(codes, factors, 1000, sizes=[10, 100])


def test_too_few_training_rows_for_a_size_give_no_value_and_say_so() -> None:
    found = downstream_of(*drawn(200), 150, predictor="logistic_regression")
    assert found["accuracy_100"].value is not None
    assert found["accuracy_1000"].value is None
    assert found["accuracy_1000"].error == (
        "accuracy_1000 needs 1,000 training rows, and there are 150"
    )
    assert (
        found["efficiency"].error == "accuracy_10000 needs 10,000 training rows, and there are 150"
    )


@pytest.mark.parametrize("predictor", ["gradient_boosting", "logistic_regression"])
def test_classes_that_the_first_rows_lack_are_errors(predictor: str) -> None:
    # The first ten rows have class 0 alone, so it is predicted of all; of 20 test rows 5 have it.
    factor = np.r_[np.zeros(10), np.ones(5), np.zeros(5), np.ones(8), np.full(7, 2)].astype(int)
    codes = factor[:, None] + 0.0
    found = downstream_of(codes, factor[:, None], 15, sizes=[10], predictor=predictor)
    assert found["accuracy_10"].value == 5 / 20


def test_cross_validation_chooses_the_penalty_that_scikit_learn_chooses() -> None:
    for seed in range(3):
        codes, factors = drawn(60, seed)
        rows = rows_of(codes, factors)
        known = LogisticRegressionCV(
            Cs=10, cv=KFold(5), l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False
        ).fit(codes, factors[:, 1])
        assert best_penalty(codes, factors[:, 1], rows) == pytest.approx(known.C_)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_cross_validation_takes_folds_that_lack_classes() -> None:
    # In the order of classes each fold lacks those that it is tested on.
    labels = np.repeat([0, 1, 2], 4)
    rows = rows_of(labels[:, None] + 0.0, labels[:, None])
    assert best_penalty(rows.codes.astype(np.float64), labels, rows) > 0
    lone = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    found = downstream_of(
        np.arange(12.0)[:, None],
        np.r_[lone, 0, 1][:, None],
        10,
        sizes=[10],
        predictor="logistic_regression",
        C=None,
    )
    assert found["accuracy_10"].value is not None


@pytest.mark.filterwarnings("error::UserWarning")
def test_few_rows_of_many_classes_print_no_warning() -> None:
    factor = np.arange(10).repeat(2)[:, None]
    for c in (1.0, None):
        found = downstream_of(
            factor + 0.0, factor, 12, sizes=[10], predictor="logistic_regression", C=c
        )
        assert found["accuracy_10"].value is not None


def test_intervals_leave_out_a_part_of_each_size() -> None:
    rows = rows_of(*drawn(400), train_rows=150)
    metric = metric_of(
        {"name": "downstream", "sizes": [10, 100], "predictor": "logistic_regression"}
    )
    widths = metric.half_widths(rows)
    # The luck of ten rows is larger than that of a hundred.
    assert widths["accuracy_10"] > widths["accuracy_100"] > 0


def test_what_cannot_be_asked_for() -> None:
    codes, factors = drawn(40)
    with pytest.raises(InvalidSpec, match="does not use C"):
        downstream_of(codes, factors, 30, C=2.0)
    with pytest.raises(InvalidSpec, match="must ascend"):
        downstream_of(codes, factors, 30, sizes=[100, 10])
    with pytest.raises(InvalidSpec, match="sizes"):
        downstream_of(codes, factors, 30, sizes=[20])
    with pytest.raises(UnusableRows, match="none is left to test on"):
        downstream_of(codes, factors, 40)
