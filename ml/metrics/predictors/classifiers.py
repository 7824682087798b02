"""Predictions of classes from codes, whatever classes the rows of the fit happen to have."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.codes.rows import Rows, UnusableRows
from ml.codes.scaling import standardised
from ml.metrics.information.mutual_information import factor_classes
from ml.metrics.predictors.classes import classes, number_of_classes
from ml.metrics.predictors.importance import SEEDS, within_float32
from ml.metrics.predictors.logistic_regression import fit_logistic_regression
from ml.reproducibility.linear_algebra import single_threaded

Classifier = Literal["gradient_boosting", "logistic_regression"]
USERS = {"C": ("logistic_regression",)}
"""The classifiers that use a param (see `refuse_unused`)."""
PENALTIES = np.logspace(-4, 4, 10)
"""Inverse weights that cross-validation chooses from: scikit-learn's `Cs=10`."""
FOLDS = 5
MOST_ITERATIONS = 100
"""Most steps of a fit within cross-validation, which is scikit-learn's default."""


def with_classes(rows: Rows, fit: int, factor_bins: int | None) -> Rows:
    """The rows with class indices 0, 1, … in place of the values of their factors.

    Raises:
        UnfitFactor: a factor is continuous and `factor_bins` is not set, or has too many classes.
        ConstantFactor: a factor has a single class among the first `fit` rows.
    """
    classes(rows, fit, factor_bins, "")
    of_rows = factor_classes(
        rows, factor_bins or 1, all_factors=factor_bins is not None, scaled=False
    )
    kinds = ("discrete",) * of_rows.shape[1]
    return replace(rows, factors=of_rows, factor_kinds=kinds, shared={})


def predicted_classes(
    rows: Rows,
    labels: Int[np.ndarray, "samples"],
    fit: Int[np.ndarray, "fit"],
    test: Int[np.ndarray, "test"],
    classifier: Classifier,
    c: float | None,
    *,
    scaled: bool = True,
) -> Int[np.ndarray, "test"]:
    """The labels of the rows `test` that a classifier predicts, fitted on the rows `fit`.

    If all rows of the fit have one label, that label is predicted. A label that none of them has is
    never predicted. Codes are standardised by the rows of the fit, or taken as given without
    `scaled`. `gradient_boosting` is 100 boosted trees of depth 3. Their scale is nothing to trees,
    but these compare in float32 and take codes for equal that differ by less than 1e-7, as
    scikit-learn's do. `logistic_regression` is fitted with the inverse penalty `c`, or with the one
    that `best_penalty` finds if it is None.

    Raises:
        UnusableRows: there is no row to fit on.
    """
    rows.continue_or_stop()
    if not len(fit):
        raise UnusableRows("no rows are left to fit a predictor on; give more training rows")
    known = labels[fit]
    if not len(test) or (known == known[0]).all():
        return np.full(len(test), known[0])
    codes = rows.codes[np.concatenate([fit, test])]
    if scaled:
        codes = standardised(codes, len(fit))
    if classifier == "gradient_boosting":
        # The import is slow, and a process that only trains does not need it.
        from ml.metrics.predictors._gradient_boosting import fit as fit_boosting

        # A code may vary in the test rows alone.
        codes = within_float32(codes)
        model = fit_boosting(
            codes[: len(fit)],
            known,
            random_state=rows.seed % SEEDS,
            threads=rows.threads,
            continue_or_stop=rows.continue_or_stop,
        )
        return model.predict(codes[len(fit) :], continue_or_stop=rows.continue_or_stop)
    train, rest = codes[: len(fit)], codes[len(fit) :]
    chosen = best_penalty(train, known, rows) if c is None else c
    with warnings.catch_warnings():
        # That few rows have many classes is what the caller asks about.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        found: np.ndarray = fit_logistic_regression(train, known, chosen).predict(rest)
    return found


def best_penalty(
    codes: Float[np.ndarray, "samples latents"], labels: Shaped[np.ndarray, "samples"], rows: Rows
) -> float:
    """The inverse penalty of `PENALTIES` with the best accuracy in five-fold cross-validation.

    Folds are successive rows, and there are as many as rows if these are fewer than five. Of
    equally good penalties the strongest is taken. Where every fold has every label, this is the
    choice of scikit-learn's `LogisticRegressionCV(Cs=10, cv=KFold(5))`, which fails elsewhere. Here
    a label that a fit has not seen is an error where it occurs, and a fit that has seen one label
    predicts it.
    """
    # The imports are slow, and a process that only trains does not need them.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    accuracies = np.zeros(len(PENALTIES))
    for held in np.array_split(np.arange(len(labels)), min(FOLDS, len(labels))):
        rows.continue_or_stop()
        fit = np.delete(np.arange(len(labels)), held)
        if (labels[fit] == labels[fit[0]]).all():
            accuracies += (labels[held] == labels[fit[0]]).mean()
            continue
        # Each penalty starts where the last one ended.
        model = LogisticRegression(warm_start=True, max_iter=MOST_ITERATIONS)
        with single_threaded(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            for k, penalty in enumerate(PENALTIES):
                model.set_params(C=penalty).fit(codes[fit], labels[fit])
                accuracies[k] += (model.predict(codes[held]) == labels[held]).mean()
    return float(PENALTIES[accuracies.argmax()])


def seconds_of_fits(
    rows: Rows,
    classifier: Classifier,
    c: float | None,
    *,
    factor_bins: int | None,
    fit: float,
    test: float,
) -> float:
    """About how long it takes on one core to predict each factor once.

    `fit` rows are fitted and `test` rows predicted.
    """
    factors, latents = len(rows.factor_names), int(rows.codes.shape[1])
    number = number_of_classes(rows, factor_bins)
    if classifier == "gradient_boosting":
        return 2e-3 * factors + number * (1.5e-3 + 5e-7 * fit * latents + 1e-6 * test)
    # Codes that know nothing take a third of this, and codes that know much take twice as long.
    once = 2e-3 * factors + 6e-8 * fit * latents * number
    return once if c is not None else (1 + FOLDS * len(PENALTIES)) * once
