"""Factors as classes or numbers, which predictors learn to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ml.codes.rows import EXACT, ConstantFactor, Rows, UnfitFactor, UnusableRows
from ml.codes.scaling import above_least
from ml.metrics.information.mutual_information import factor_classes

AUDITED_BINS: Mapping[str, Any] = {"factor_bins": 10}
"""How an audit cuts continuous factors into classes, as Carbonneau et al. do."""
MOST_CELLS = 10**8
"""Most rows times classes of a factor. An array of them takes 0.8 GB, and a predictor holds
several."""


@dataclass(frozen=True)
class Classes:
    """One factor as classes 0, 1, … of the rows that a classifier is fitted on."""

    fit: Int[np.ndarray, "train"]
    """Class of each row of the fit. Every class occurs."""
    test: Int[np.ndarray, "test"]
    """Class of each later row. It is -1 if no row of the fit has the class, so that no prediction
    is right."""

    @property
    def number(self) -> int:
        return int(self.fit.max()) + 1


def training_part(rows: Rows) -> int:
    """The number of training rows. Raises `UnusableRows` if no row is left to test on."""
    if rows.train >= len(rows):
        raise UnusableRows(
            f"all {len(rows)} rows are training rows and none is left to test on;"
            " give a smaller train_rows"
        )
    return rows.train


def number_of_classes(rows: Rows, factor_bins: int | None) -> int:
    """Number of classes of all factors together, as `classes` cuts them."""
    if factor_bins is not None:
        return factor_bins * len(rows.factor_names)
    return sum(len(np.unique(values)) for values in rows.factors.T)


def classes(rows: Rows, fit: int, factor_bins: int | None, instead: str) -> list[Classes]:
    """Each factor as classes of its first `fit` rows.

    A discrete factor's values are its classes. With `factor_bins` every factor, even a discrete
    one, is cut into that many bins of equal width over all rows, as the literature does with
    `continuous_factors` set.

    Raises:
        UnfitFactor: a factor is continuous and `factor_bins` is not set (`instead` says what else
            to do), or has so many classes that their probabilities would fill the memory.
        ConstantFactor: a factor has a single class among the rows of the fit.
    """
    binned = factor_bins is not None
    for column, kind in enumerate(rows.factor_kinds):
        if kind == "continuous" and not binned:
            why = "is continuous, but a classifier predicts classes: set factor_bins to cut it into"
            raise UnfitFactor(rows.factor_names[column], column, f"{why} such{instead}")
    found = []
    for column, values in enumerate(
        factor_classes(rows, factor_bins or 1, all_factors=binned, scaled=False).T
    ):
        known, of_fit = np.unique(values[:fit], return_inverse=True)
        if len(known) * len(rows) > MOST_CELLS:
            why = f"has {len(known)} classes in {len(rows)} rows, too many for a classifier: set"
            raise UnfitFactor(
                rows.factor_names[column], column, f"{why} factor_bins, or call it continuous"
            )
        if len(known) == 1:
            one = (
                f"bin {known[0] + 1} of {factor_bins}" if binned else rows.factors[0, column].item()
            )
            raise _constant(rows, column, fit, one)
        place = np.searchsorted(known, values[fit:]).clip(max=len(known) - 1)
        found.append(Classes(of_fit, np.where(known[place] == values[fit:], place, -1)))
    return found


def untrained_classes(rows: Rows, factor_bins: int | None) -> dict[str, dict[str, float]]:
    """Numbers, by factor, about the classes that test rows have and no training row has.

    `classes` is how many classes there are, and `untrained` how many of them only test rows have.
    `share_of_test_rows` is the share of test rows with these classes. `expected` is how many
    classes would be untrained on average if the rows were in random order.
    """
    binned, found = factor_bins is not None, {}
    of_rows = factor_classes(rows, factor_bins or 1, all_factors=binned, scaled=False).T
    for name, kind, values in zip(rows.factor_names, rows.factor_kinds, of_rows, strict=True):
        if kind == "continuous" and not binned:
            continue
        counts = np.bincount(values)
        untrained = (counts > 0) & (np.bincount(values[: rows.train], minlength=len(counts)) == 0)
        if not untrained.any():
            continue
        test = len(rows) - rows.train
        found[name] = {
            "classes": int((counts > 0).sum()),
            "untrained": int(untrained.sum()),
            "share_of_test_rows": float(counts[untrained].sum() / test),
            # Each of a class's n rows is a test row with the probability test / N.
            "expected": float(((test / len(rows)) ** counts[counts > 0]).sum()),
        }
    return found


def factor_values(rows: Rows, fit: int) -> Float[np.ndarray, "samples factors"]:
    """Each factor's values as numbers, whatever its kind.

    Integers are counted from the least of their column, which changes no regression. So ids of
    classes may be of any size.

    Raises:
        ConstantFactor: a factor has a single value among the first `fit` rows.
        UnfitFactor: two values of a factor are one number in float64, even counted from the least.
    """
    for column in np.flatnonzero(rows.factors[:fit].max(0) == rows.factors[:fit].min(0)):
        raise _constant(rows, int(column), fit, rows.factors[0, column].item())
    if rows.factors.dtype.kind not in "iu":
        return rows.factors.astype(np.float64)
    exact = above_least(rows.factors)
    for column in np.flatnonzero(exact.max(0) > EXACT):
        values = np.unique(exact[:, column])
        if len(np.unique(values.astype(np.float64))) < len(values):
            why = (
                f"has different values that are one number to 53 bits, from"
                f" {rows.factors[:, column].min()} to {rows.factors[:, column].max()}: as ids of"
                " classes they are no numbers to regress on; number the classes from 0"
            )
            raise UnfitFactor(rows.factor_names[column], int(column), why)
    return exact.astype(np.float64)


def _constant(rows: Rows, column: int, fit: int, value: object) -> ConstantFactor:
    name = rows.factor_names[column]
    if fit == len(rows) or len(np.unique(rows.factors[:, column])) == 1:
        return ConstantFactor(name, column, value)
    return ConstantFactor(
        name,
        column,
        value,
        "the training rows",
        f"shuffle the rows, of which the first {fit} are for training, as others have more values",
    )
