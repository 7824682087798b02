"""Factors as the classes or the numbers that predictors are to predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.metrics._mutual_information import factor_classes
from ml.rows import ConstantFactor, Rows, UnfitFactor, UnusableRows

MOST_CELLS = 10**8
"""Rows times classes of a factor: 0.8 GB an array, of which a predictor holds several."""


@dataclass(frozen=True)
class Classes:
    """One factor as classes 0, 1, … of the rows that a classifier is fitted on."""

    fit: np.ndarray
    """Class of each row of the fit; every class occurs."""
    test: np.ndarray
    """Class of each row after those; -1 where it is none of the fit's, so that no prediction of
    it is right."""

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
    """Of all factors together, as `classes` takes them."""
    if factor_bins is not None:
        return factor_bins * len(rows.factor_names)
    return sum(len(np.unique(values)) for values in rows.factors.T)


def classes(rows: Rows, fit: int, factor_bins: int | None, instead: str) -> list[Classes]:
    """Each factor as classes of its first `fit` rows.

    A discrete factor's values are its classes. With `factor_bins` every factor, discrete ones too,
    is cut into as many bins of equal width over all rows, as the literature does with
    `continuous_factors` set.

    Raises:
        UnfitFactor: a continuous factor and no `factor_bins`, where `instead` says what else would
            do; or so many classes that their probabilities would fill the memory.
        ConstantFactor: one class only among the rows of the fit.
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


def factor_values(rows: Rows, fit: int) -> np.ndarray:
    """Each factor's values as numbers, (samples, factors), whatever its kind.

    Raises `ConstantFactor` if one has a single value among the first `fit` rows.
    """
    for column in np.flatnonzero(rows.factors[:fit].max(0) == rows.factors[:fit].min(0)):
        raise _constant(rows, int(column), fit, rows.factors[0, column].item())
    return rows.factors.astype(np.float64)


def _constant(rows: Rows, column: int, fit: int, value: object) -> ConstantFactor:
    which = "these rows" if fit == len(rows) else "the training rows"
    return ConstantFactor(rows.factor_names[column], column, value, which)
