"""Strong generalisation: predicting a factor where another has values never seen in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ml.codes.scaling import standardised
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
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value
from ml.reproducibility.draws import generator

ONE_FACTOR = "strong generalisation freezes another factor and needs at least two, got one"
MOST_TESTED = 2_000
"""Most test rows that a predictor is judged on."""
UNDEFINED = "the predictors fitted on rows drawn at random predict no row right"


@register
class StrongGeneralisation(Metric):
    r"""Strong generalisation: how well factors are predicted where another has unseen values.

    .. math:: \mathrm{gap} = 1 - \mathrm{accuracy\_shifted} / \mathrm{accuracy\_iid}

    For each pair of a target factor and another factor, a value of the other factor is drawn. It is
    frozen: a predictor of the target is fitted on the training rows with this value, and judged on
    test rows with any other value, on the first 2,000 of them. `accuracy_shifted` is the share of
    these that it predicts right. `accuracy_iid` is the share that a second predictor gets right of
    the same test rows. It is fitted on as many rows, drawn from all training rows. So the two
    differ only in what the training rows show of the other factor. Both are means over all pairs
    and over `repeats` values a pair, in [0, 1], and higher is better.
    `gap` is the share of accuracy that the shift costs, at most 1, and 0 if it costs nothing. It is
    about 0 for codes that know nothing, too. So neither direction is better, and it is read beside
    the accuracies. It is below 0 if the frozen rows are the easier ones to learn from, as codes of
    the frozen factor hold still there. It has no value if `accuracy_iid` is 0, and no number has
    one for a single factor.

    Values are drawn among those that some training row has, and that not all test rows have. A
    factor of many values leaves few rows to fit on: with N training rows and m values about N / m.
    A target class without a row in the fit counts as an error, and if all rows of a fit have one
    class, that class is predicted. With `predictor`

    - `gradient_boosting` (the protocol): 100 boosted trees of depth 3.
    - `logistic_regression`: multinomial, with an L2 penalty.

    Codes are standardised by all training rows.

    disentanglement_lib encodes new images with the frozen value, so that it fits as many rows
    for any factor. It draws one other factor for each of 10 repeats a target, where we take all.
    Its `accuracy_iid` is of a fit on all training rows, judged on all test rows.

    Raises:
        ConstantFactor: a factor takes a single value on the training rows.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: there are no test rows, or no value of a factor can be frozen.

    References:
        Locatello et al., 2020, https://jmlr.org/papers/v21/19-976.html
    """

    name: Literal["strong_generalisation"] = "strong_generalisation"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = (
        # Of a factor with many values a fit may lack classes, even if codes are perfect.
        Number("accuracy_shifted", perfect=None),
        Number("accuracy_iid", perfect=None),
        Number("gap", higher_is_better=None, range=(None, 1.0), perfect=None),
    )
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "logistic_regression"}, "fitted", AUDITED_BINS),
        AuditSetting({"predictor": "gradient_boosting"}, "slow", AUDITED_BINS),
    )
    predictor: Classifier = "gradient_boosting"
    """The predictor of a factor from all codes."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """How many values of the other factor are frozen in turn, for each pair of factors."""
    C: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Inverse weight of the penalty of logistic_regression. Null chooses it for each fit by
    five-fold cross-validation among ten values from 1e-4 to 1e4. That takes about fifty times as
    long."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> StrongGeneralisation:
        refuse_unused(self, "predictor", USERS)
        return self

    def seconds(self, rows: Rows) -> float:
        once = [
            seconds_of_fits(
                rows,
                self.predictor,
                self.C,
                factor_bins=self.factor_bins,
                fit=rows.train / (self.factor_bins or len(np.unique(values))),
                test=min(MOST_TESTED, len(rows) - rows.train),
            )
            for values in rows.factors.T
        ]
        # Each factor is frozen for the prediction of all the others, twice.
        others = 1 - 1 / max(1, len(once))
        return 2 * self.repeats * others * sum(once)

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        return untrained_classes(rows, self.factor_bins)

    def compute(self, rows: Rows) -> dict[str, Value]:
        train = training_part(rows)
        known = with_classes(rows, train, self.factor_bins)
        # By the frozen rows, a code of the frozen factor would be divided by its noise alone.
        known = replace(known, codes=standardised(rows.codes, train), shared={})
        number = len(rows.factor_names)
        if number == 1:
            details = {"factors": list(rows.factor_names)}
            return {one.name: Value(math.nan, details, ONE_FACTOR) for one in self.numbers}
        shifted, iid = np.zeros((number, number)), np.zeros((number, number))
        # The values have draws of their own, so that replicates with fewer rows freeze the same.
        of_values = generator(rows.seed, "frozen values")
        of_rows = generator(rows.seed, "rows in place of frozen ones")
        for target, frozen in permutations(range(number), 2):
            for _ in range(self.repeats):
                fit, drawn, test = _parts(known, frozen, of_values, of_rows)
                labels = known.factors[:, target]
                for found, of_fit in ((shifted, fit), (iid, drawn)):
                    right = labels[test] == predicted_classes(
                        known, labels, of_fit, test, self.predictor, self.C, scaled=False
                    )
                    found[target, frozen] += right.mean() / self.repeats
        pairs = ~np.eye(number, dtype=bool)
        accuracies = {"accuracy_shifted": shifted, "accuracy_iid": iid}
        values = {
            name: Value(float(found[pairs].mean()), self._details(rows, found))
            for name, found in accuracies.items()
        }
        of_shifted, of_iid = (one.value for one in values.values())
        gap = 1 - of_shifted / of_iid if of_iid else math.nan
        return {**values, "gap": Value(gap, {"factors": list(rows.factor_names)}, UNDEFINED)}

    def _details(self, rows: Rows, found: np.ndarray) -> dict[str, Any]:
        """The accuracy of each target (row) with each other factor frozen (column)."""
        matrix = [
            [None if one == other else value for other, value in enumerate(row)]
            for one, row in enumerate(found.tolist())
        ]
        return {"factors": list(rows.factor_names), "targets_by_frozen": matrix}


def _parts(
    rows: Rows, frozen: int, of_values: np.random.Generator, of_rows: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows with a drawn value of a factor, as many of any value, and test rows without it.

    Raises:
        UnusableRows: no value is in training rows and missing from some test row.
    """
    of_train, of_test = rows.factors[: rows.train, frozen], rows.factors[rows.train :, frozen]
    values = np.unique(of_train)
    if len(single := np.unique(of_test)) == 1:
        values = values[values != single[0]]
    if not len(values):
        raise UnusableRows(
            f"all rows have one value of factor {rows.factor_names[frozen]!r}; shuffle the rows if"
            " they are in an order"
        )
    value = of_values.choice(values)
    fit = np.flatnonzero(of_train == value)
    drawn = of_rows.choice(rows.train, len(fit), replace=False)
    return fit, drawn, rows.train + np.flatnonzero(of_test != value)[:MOST_TESTED]
