"""Unfairness: whether predictions of a factor depend on another, sensitive one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from ml.codes.uncertainty import Draws
from ml.codes.uncertainty import permutations as permuted_rows
from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.predictors.classes import AUDITED_BINS, training_part, untrained_classes
from ml.metrics.predictors.classifiers import (
    USERS,
    Classifier,
    predicted_classes,
    seconds_of_fits,
    with_classes,
)
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, Value

ONE_FACTOR = "unfairness is towards another factor and needs at least two, got one"
REPLICATES = 50
"""Permutations of the null, which takes no further fit."""


def total_variations(
    counts: Int[np.ndarray, "predicted sensitive"],
) -> Float[np.ndarray, "sensitive"]:
    r"""How far the predictions for each sensitive value are from the predictions for all.

    .. math:: \frac{1}{2} \sum_y |p(y | s) - p(y)|

    It is in [0, 1]. `counts` are numbers of rows by predicted class and sensitive value. Each
    sensitive value must have a row.
    """
    of_value = counts / counts.sum(0)
    of_all = counts.sum(1) / counts.sum()
    distances: np.ndarray = np.abs(of_value - of_all[:, None]).sum(0) / 2
    return distances


def mean_and_most(counts: Int[np.ndarray, "predicted sensitive"]) -> tuple[float, float]:
    """The mean of `total_variations` over rows, and the largest of them."""
    distances = total_variations(counts)
    return float(distances @ counts.sum(0) / counts.sum()), float(distances.max())


@register
class Fairness(Metric):
    r"""Unfairness: how far predictions of a factor depend on another, sensitive factor.

    .. math:: \mathrm{unfairness} = \frac{1}{K (K - 1)} \sum_{i \neq j} \sum_s p(v_j = s)
        \cdot \frac{1}{2} \sum_y |p(\hat{v}_i = y | v_j = s) - p(\hat{v}_i = y)|

    A predictor of each factor i from all codes is fitted on the training rows. The distribution of
    its predictions on the test rows with one value s of a sensitive factor j is compared with that
    on all test rows, by their total variation. `unfairness` is the mean over values, weighted by
    their rows, and over all pairs of factors. `unfairness_max` takes the value of j with the
    largest distance for each pair, and the mean over pairs. Both are in [0, 1], and 0 if no
    prediction depends on another factor (demographic parity).

    A lower number is fairer. But a predictor that knows nothing of its factor is as fair as one
    that knows it from one code alone. So neither direction is better, and it is read beside an
    accuracy. If factors depend on each other on these rows, even right predictions are unfair.

    On so many rows no number is 0 by chance: the predictions for a value of few rows differ from
    the others. The null shows by how much. It permutes the factors of the test rows and keeps the
    predictions, so that it is what these predictors get on codes that know nothing. Hold
    `unfairness` against it.

    Locatello et al. set the sensitive factor to each of its values in turn and encode the new
    images. That needs a simulator. Rows that are drawn with independent factors, and complete
    grids, give the same number in expectation, except for what chance adds. Theirs adds less, as
    it takes the same other factors with each value. With `predictor`

    - `gradient_boosting` (the protocol): 100 boosted trees of depth 3.
    - `logistic_regression`: multinomial, with an L2 penalty.

    Codes are standardised by the training rows.

    There is no value for a single factor.

    Raises:
        ConstantFactor: a factor takes a single value on the training rows.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: there are no test rows.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1905.13662
    """

    name: Literal["fairness"] = "fairness"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = (
        # Of perfect codes it is what chance adds on as many rows.
        Number("unfairness", higher_is_better=None, perfect=None),
        Number("unfairness_max", higher_is_better=None, perfect=None),
    )
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "logistic_regression"}, "fitted", AUDITED_BINS),
        AuditSetting({"predictor": "gradient_boosting"}, "slow", AUDITED_BINS),
    )
    predictor: Classifier = "gradient_boosting"
    """The predictor of a factor from all codes."""
    C: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Inverse weight of the penalty of logistic_regression. Null chooses it for each fit by
    five-fold cross-validation among ten values from 1e-4 to 1e4. That takes about fifty times as
    long."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> Fairness:
        refuse_unused(self, "predictor", USERS)
        return self

    def seconds(self, rows: Rows) -> float:
        return seconds_of_fits(
            rows,
            self.predictor,
            self.C,
            factor_bins=self.factor_bins,
            fit=rows.train,
            test=len(rows) - rows.train,
        )

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        return untrained_classes(rows, self.factor_bins)

    def compute(self, rows: Rows) -> dict[str, Value]:
        predicted, factors = self._predicted(rows)
        details = {"factors": list(rows.factor_names)}
        if len(rows.factor_names) == 1:
            return {one.name: Value(math.nan, details, ONE_FACTOR) for one in self.numbers}
        labels = factors[rows.train :]
        accuracy = {"accuracy": (predicted == labels).mean(0).tolist()}
        return {
            name: Value(_mean(pairs), {**details, "targets_by_sensitive": pairs, **accuracy})
            for name, pairs in _unfairness(predicted, labels).items()
        }

    def null(self, rows: Rows) -> Draws:
        if len(rows.factor_names) == 1:
            return {}
        predicted, factors = self._predicted(rows)
        tested = rows.only(slice(rows.train, None))
        drawn = [
            _unfairness(predicted, factors[rows.train :][index])
            for index in permuted_rows(tested, REPLICATES)
        ]
        return {
            number.name: np.array([_mean(one[number.name]) for one in drawn])
            for number in self.numbers
        }

    def _predicted(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """The predicted classes of the test rows (test, factors), and the classes of all rows."""
        key = ("predictions for fairness", self)
        if key not in rows.shared:
            train = training_part(rows)
            known = with_classes(rows, train, self.factor_bins)
            fit, test = np.arange(train), np.arange(train, len(rows))
            predicted = [
                predicted_classes(known, labels, fit, test, self.predictor, self.C)
                for labels in known.factors.T
            ]
            rows.shared[key] = np.stack(predicted, axis=1), known.factors
        found: tuple[np.ndarray, np.ndarray] = rows.shared[key]
        return found


def _unfairness(predicted: np.ndarray, factors: np.ndarray) -> dict[str, list[list[float | None]]]:
    """Mean and largest total variation, for each target (row) and sensitive factor (column)."""
    number = factors.shape[1]
    found: dict[str, list[list[float | None]]] = {
        name: [[None] * number for _ in range(number)] for name in ("unfairness", "unfairness_max")
    }
    values = [np.unique(column, return_inverse=True) for column in factors.T]
    for target, sensitive in permutations(range(number), 2):
        of_value, value = values[sensitive]
        width, most = len(of_value), int(predicted[:, target].max()) + 1
        cells = predicted[:, target] * width + value
        counts = np.bincount(cells, minlength=most * width).reshape(most, width)
        pair = mean_and_most(counts)
        found["unfairness"][target][sensitive], found["unfairness_max"][target][sensitive] = pair
    return found


def _mean(pairs: Sequence[Sequence[float | None]]) -> float:
    return float(np.mean([value for row in pairs for value in row if value is not None]))
