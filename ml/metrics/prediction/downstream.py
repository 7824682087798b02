"""Downstream accuracy: how well factors are predicted from few and from many rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Bool
from pydantic import Field, model_validator

from ml.codes.uncertainty import (
    Numbers,
    jackknife_half_width,
    mean_half_width,
    without_groups,
)
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

FEW = 100
"""The training rows whose accuracy `efficiency` compares with the accuracy of the most rows."""
# A perfect code does not score 1, as few rows do not show every class.
ACCURACIES = {size: Number(f"accuracy_{size}", perfect=None) for size in (10, FEW, 1_000, 10_000)}
# Codes that know nothing are as good with few rows as with many, so neither direction is better.
EFFICIENCY = Number("efficiency", higher_is_better=None, range=(0.0, None), perfect=None)


@register
class Downstream(Metric):
    r"""Downstream accuracy: how well each factor is predicted from the codes, by training rows.

    .. math:: \mathrm{accuracy}_n = \frac{1}{K} \sum_k \mathrm{accuracy}_{kn}, \qquad
        \mathrm{efficiency} = \mathrm{accuracy}_{100} / \mathrm{accuracy}_{\max n}

    A predictor of each factor from all codes is fitted on the first n training rows, and judged on
    all test rows. `accuracy_n` is the mean over factors of the share of rows that are predicted
    right. It is in [0, 1], and higher is better. The details have each factor's accuracy, and the
    least of them. If there are fewer than n training rows, `accuracy_n` has no value, as an
    accuracy with other rows would not compare.
    `efficiency` is the statistical efficiency: the accuracy with 100 rows as a share of that with
    the largest of `sizes`. It has a value if both accuracies have one and the second is not 0. It
    is about 1 for codes that know nothing, which are as bad with few rows as with many, and may
    exceed 1. So neither direction is better, and it is read beside the accuracies.
    Codes are standardised by the rows of the fit, where disentanglement_lib takes them as they are.
    With `predictor`

    - `gradient_boosting`: 100 boosted trees of depth 3.
    - `logistic_regression`: multinomial, with an L2 penalty.

    A test row whose class is in no row of the fit counts as an error. Where all rows of a fit have
    one class, that class is predicted, and disentanglement_lib fails. It draws fresh rows for each
    size, while ours are the first ones of the same rows.

    The interval is a jackknife at each size, so it includes the luck of which rows were fitted.
    With ten rows that is most of it.

    Raises:
        ConstantFactor: a factor takes a single value on the training rows.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: there are no test rows.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    name: Literal["downstream"] = "downstream"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = (*ACCURACIES.values(), EFFICIENCY)
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "logistic_regression"}, "fitted", AUDITED_BINS),
        AuditSetting({"predictor": "gradient_boosting"}, "slow", AUDITED_BINS),
    )
    predictor: Classifier = "gradient_boosting"
    """The predictor of a factor from all codes."""
    sizes: Annotated[tuple[Literal[10, 100, 1000, 10000], ...], Field(min_length=1)] = (
        10,
        100,
        1000,
        10000,
    )
    """Numbers of training rows, ascending."""
    C: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Inverse weight of the penalty of logistic_regression. Null chooses it for each fit by
    five-fold cross-validation among ten values from 1e-4 to 1e4, as the protocol does. That takes
    about fifty times as long."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> Downstream:
        refuse_unused(self, "predictor", USERS)
        if list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must ascend, got {list(self.sizes)}")
        return self

    def reported(self) -> Sequence[Number]:
        accuracies = [ACCURACIES[size] for size in self.sizes]
        return [*accuracies, EFFICIENCY] if self._compares else accuracies

    @property
    def _compares(self) -> bool:
        """Whether there are two sizes that efficiency compares."""
        return FEW in self.sizes and self.sizes[-1] > FEW

    def seconds(self, rows: Rows) -> float:
        return sum(
            seconds_of_fits(
                rows,
                self.predictor,
                self.C,
                factor_bins=self.factor_bins,
                fit=size,
                test=len(rows) - rows.train,
            )
            for size in self.sizes
            if size <= rows.train
        )

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        return untrained_classes(rows, self.factor_bins)

    def compute(self, rows: Rows) -> dict[str, Value]:
        factors = list(rows.factor_names)
        found: dict[str, Value] = {}
        missing: dict[int, str] = {
            size: f"accuracy_{size} needs {size:,} training rows, and there are {rows.train:,}"
            for size in self.sizes
            if size > rows.train
        }
        parts = self._parts(rows)
        for size in self.sizes:
            if size in missing:
                value = Value(math.nan, {"factors": factors}, missing[size])
            else:
                right = self._right(parts[size]).mean(0)
                details = {
                    "factors": factors,
                    "per_factor": right.tolist(),
                    "min": float(right.min()),
                }
                value = Value(float(right.mean()), details)
            found[f"accuracy_{size}"] = value
        if self._compares:
            ratio = self._efficiency({name: value.value for name, value in found.items()})
            why = missing.get(FEW) or missing.get(self.sizes[-1]) or "no factor is predicted"
            of = [FEW, self.sizes[-1]]
            found["efficiency"] = Value(ratio, {"factors": factors, "training_rows": of}, why)
        return found

    def half_widths(self, rows: Rows) -> Numbers:
        key = ("half widths of downstream", self)
        if key not in rows.shared:
            rows.shared[key] = self._half_widths(rows)
        found: Numbers = rows.shared[key]
        return found

    def half_widths_of_draws(self, rows: Rows) -> Numbers:
        """What is due to the rows of the fits, as no more are fitted if there are more.

        The rest is due to the test rows, over which each accuracy is a mean, and the efficiency a
        quotient of means.
        """
        right = {
            f"accuracy_{size}": self._right(part).mean(1)
            for size, part in self._parts(rows).items()
        }
        means = {name: float(of.mean()) for name, of in right.items()}
        few, most = (right.get(f"accuracy_{size}") for size in (FEW, self.sizes[-1]))
        if few is not None and most is not None and most.any():
            right["efficiency"] = (few - self._efficiency(means) * most) / most.mean()
        found = {}
        for name, width in self.half_widths(rows).items():
            of_test = mean_half_width(right[name]) if name in right else 0.0
            found[name] = math.sqrt(max(0.0, width**2 - of_test**2))
        return found

    def _half_widths(self, rows: Rows) -> Numbers:
        # A replicate leaves a quarter out of the rows of each size, and not a quarter of all rows.
        parts = self._parts(rows)
        drawn = []
        for kept in zip(*map(without_groups, parts.values()), strict=True):
            one = {
                f"accuracy_{size}": float(self._right(part).mean())
                for size, part in zip(parts, kept, strict=True)
            }
            drawn.append({**one, "efficiency": self._efficiency(one)})
        return {
            number.name: jackknife_half_width(np.array([one[number.name] for one in drawn]))
            for number in self.reported()
            if drawn and number.name in drawn[0]
        }

    def _parts(self, rows: Rows) -> dict[int, Rows]:
        """The rows of each size that there are enough for: the first ones, and all test rows."""
        train = training_part(rows)
        known = with_classes(rows, train, self.factor_bins)
        return {
            size: known.take(np.r_[:size, train : len(rows)], size)
            for size in self.sizes
            if size <= train
        }

    def _right(self, rows: Rows) -> Bool[np.ndarray, "test factors"]:
        """Whether each factor of each test row is what a fit on all training rows predicts."""
        train = training_part(rows)
        fit, test = np.arange(train), np.arange(train, len(rows))
        return np.stack(
            [
                predicted_classes(rows, labels, fit, test, self.predictor, self.C) == labels[test]
                for labels in rows.factors.T
            ],
            axis=1,
        )

    def _efficiency(self, accuracies: Mapping[str, float]) -> float:
        few, most = (accuracies.get(f"accuracy_{size}", 0.0) for size in (FEW, self.sizes[-1]))
        return few / most if most else math.nan
