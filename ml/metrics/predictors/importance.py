"""How much each code matters to the prediction of each factor, by several predictors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ml.codes.rows import Rows, UnusableRows
from ml.codes.scaling import standardised, unit_interval
from ml.metrics.predictors.classes import Classes, factor_values
from ml.metrics.predictors.logistic_regression import fit_logistic_regression
from ml.metrics.predictors.random_forest import fit_random_forest

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From training codes, their classes and test codes to the importance of each code, and the classes
that are predicted of the training and of the test codes."""
ALPHAS = (1e-4, 1e-3, 1e-2, 0.1, 0.2, 0.4, 0.8, 1.0)
SEEDS = 2**32
"""scikit-learn's seeds are below this number. Larger seeds are reduced to their low 32 bits."""
LARGEST = 2.0**100
"""Codes beyond this are more than float32 holds."""
SMALLEST_RANGE = 1e-4
"""A range in which trees still tell a thousand values, as a share of what is near 1."""


@dataclass(frozen=True)
class Prediction:
    """The results of predicting all factors."""

    importance: Float[np.ndarray, "latents factors"]
    """Importance of each code for each factor, not negative."""
    informativeness: Mapping[str, Float[np.ndarray, "factors"]]
    """How well each factor is predicted, in [0, 1], by the name of the metric's number."""


def by_gradient_boosting(rows: Rows, factors: Sequence[Classes], seed: int) -> Prediction:
    """Shares of the impurity decrease, adding up to one over the codes."""
    # The import is slow, and a process that only trains does not need it.
    from ml.metrics.predictors._gradient_boosting import fit as fit_boosting

    codes = within_float32(rows.codes)

    def fit(
        train: np.ndarray, classes: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        model = fit_boosting(
            train,
            classes,
            random_state=seed % SEEDS,
            threads=rows.threads,
            continue_or_stop=rows.continue_or_stop,
        )
        of_test = model.predict(test, continue_or_stop=rows.continue_or_stop)
        return model.feature_importances_, model.predict_fitted(), of_test

    return _classified(rows, codes, factors, fit)


def by_logistic_regression(rows: Rows, factors: Sequence[Classes], c: float) -> Prediction:
    """Absolute coefficients on standardised codes, averaged over the classes."""
    codes = standardised(rows.codes, rows.train)

    def fit(
        train: np.ndarray, classes: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        model = fit_logistic_regression(train, classes, c)
        return np.abs(model.coef_).mean(0), model.predict(train), model.predict(test)

    return _classified(rows, codes, factors, fit)


def by_lasso(rows: Rows, folds: int) -> Prediction:
    """Absolute coefficients on codes and factors stretched onto [0, 1].

    The penalty is chosen among `ALPHAS` by the mean squared error over unshuffled folds. Where
    codes are nearly multiples of each other, the search stops short of its tolerance.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso, LassoCV
    from sklearn.model_selection import KFold

    def fit(codes: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Each penalty starts where the last one ended, and the default tolerance would stay there.
        search = LassoCV(alphas=ALPHAS, cv=KFold(folds), max_iter=5000, tol=1e-8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = Lasso(alpha=search.fit(codes, factor).alpha_).fit(codes, factor)
        return np.abs(model.coef_), model.predict(codes)

    return _regressed(rows, folds, fit)


def by_random_forest(rows: Rows, folds: int, seed: int) -> Prediction:
    """Shares of the variance decrease, on codes and factors stretched onto [0, 1]."""

    def fit(codes: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        model = fit_random_forest(
            codes,
            factor,
            folds=folds,
            random_state=seed % SEEDS,
            threads=rows.threads,
            continue_or_stop=rows.continue_or_stop,
        )
        return model.feature_importances_, model.predict(codes.astype(np.float32))

    return _regressed(rows, folds, fit)


def by_linear_regression(rows: Rows) -> Prediction:
    """Absolute least-squares coefficients on codes and factors stretched onto [0, 1].

    Of equally good coefficients the shortest are taken. So a dead code has a coefficient of zero,
    and equal codes share theirs.
    """
    factors = unit_interval(factor_values(rows, len(rows)))
    codes = unit_interval(rows.codes)
    centred, targets = codes - codes.mean(0), factors - factors.mean(0)
    coefficients = np.linalg.lstsq(centred, targets)[0]
    left = ((targets - centred @ coefficients) ** 2).mean(0) / targets.var(0)
    return Prediction(np.abs(coefficients), {"informativeness": (1 - left).clip(0.0, 1.0)})


def _classified(
    rows: Rows,
    codes: np.ndarray,
    factors: Sequence[Classes],
    fit: Fit,
) -> Prediction:
    train, test = codes[: rows.train], codes[rows.train :]
    importance, of_train, of_test = [], [], []
    for factor in factors:
        rows.continue_or_stop()
        important, told_train, told_test = fit(train, factor.fit, test)
        importance.append(important)
        of_train.append((told_train == factor.fit).mean())
        of_test.append((told_test == factor.test).mean())
    return Prediction(
        np.stack(importance, axis=1),
        {
            "informativeness_train": np.array(of_train),
            "informativeness_test": np.array(of_test),
        },
    )


def _regressed(
    rows: Rows, folds: int, fit: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Prediction:
    factors = unit_interval(factor_values(rows, len(rows)))
    if len(rows) < folds:
        raise UnusableRows(f"{len(rows)} rows cannot be dealt into {folds} folds; lower cv")
    codes = unit_interval(rows.codes)
    importance, informativeness = [], []
    for factor in factors.T:
        rows.continue_or_stop()
        important, predicted = fit(codes, factor)
        importance.append(important)
        # 12 = 1 / variance of the uniform distribution on [0, 1].
        informativeness.append(max(0.0, 1 - 12 * ((predicted - factor) ** 2).mean()))
    return Prediction(np.stack(importance, axis=1), {"informativeness": np.array(informativeness)})


def within_float32(codes: np.ndarray) -> np.ndarray:
    """Codes on a scale on which trees can tell their rows.

    Trees compare in float32, and take codes for equal that differ by less than 1e-7, as
    scikit-learn's do. Columns that are beyond what float32 holds, or far from 0 beside their range,
    are moved and stretched onto [0, 1]. If all ranges are small, all columns are scaled alike. A
    single code of a small range stays as it is, as that of an unused latent does in published code.
    """
    columns = codes.astype(np.float64)
    low, high = columns.min(0), columns.max(0)
    largest, ranges = np.maximum(np.abs(low), np.abs(high)), high - low
    far = (largest > 1) & (ranges < SMALLEST_RANGE * largest) | (largest > LARGEST)
    far &= ranges > 0
    if far.any():
        columns = np.where(far, (columns - low) / np.where(far, ranges, 1.0), columns)
        ranges = np.where(far, 1.0, ranges)
    if 0 < ranges.max() < SMALLEST_RANGE:
        columns = columns / ranges.max()
    elif not far.any():
        return codes
    return columns
