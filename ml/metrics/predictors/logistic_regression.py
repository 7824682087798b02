"""Logistic regression of classes on codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.reproducibility.linear_algebra import single_threaded

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

MOST_ITERATIONS = 1000
"""scikit-learn's default is 100. The golden problems use at most 67."""


def fit_logistic_regression(
    codes: Float[np.ndarray, "samples latents"],
    classes: Shaped[np.ndarray, "samples"],
    c: float,
    *,
    balanced: bool = False,
    solver: Literal["lbfgs", "newton-cholesky"] = "lbfgs",
) -> LogisticRegression:
    """A multinomial model with scikit-learn's defaults: L2 penalty of weight 1/c, L-BFGS.

    Codes must be on a common scale, or few and solved by Newton's method. `balanced` weighs each
    row by 1 / size of its class.
    """
    # The import is slow, and a process that only trains does not need it.
    from sklearn.linear_model import LogisticRegression

    weight = "balanced" if balanced else None
    model = LogisticRegression(C=c, class_weight=weight, max_iter=MOST_ITERATIONS, solver=solver)
    with single_threaded():
        return model.fit(codes, classes)


def one_vs_rest_probabilities(
    codes: Float[np.ndarray, "samples latents"],
    classes: Int[np.ndarray, "samples"],
    c: float,
    continue_or_stop: Callable[[], None] = lambda: None,
    *,
    divided: bool = True,
) -> Float[np.ndarray, "samples classes"]:
    """Probability of each class, by one balanced model for each class.

    With more than two classes each row is divided by its sum, unless `divided` is false. The models
    are fitted on the same rows.
    """
    number = int(classes.max()) + 1
    found = np.empty((len(codes), number))
    for k in [1] if number == 2 else range(number):
        continue_or_stop()
        model = fit_logistic_regression(codes, classes == k, c, balanced=True)
        found[:, k] = model.predict_proba(codes)[:, 1]
    if number == 2:
        found[:, 0] = 1 - found[:, 1]
    if not divided:
        return found
    # Far from all classes every probability may be below the smallest number.
    sums = np.maximum(found.sum(1, keepdims=True), np.finfo(np.float64).tiny)
    probabilities: np.ndarray = found / sums
    return probabilities
