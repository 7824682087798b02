"""R²: the share of the factors' variance that all codes together explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from ml.codes.scaling import standardised, unit_interval
from ml.codes.uncertainty import FEWEST_PERMUTATIONS, Draws, permutations
from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.identifiability.kernel_ridge import kernel_ridge
from ml.metrics.predictors.classes import factor_values, training_part
from ml.metrics.protocol import (
    AuditSetting,
    ConstantFactor,
    Metric,
    Number,
    Rows,
    UnusableRows,
    Value,
)
from ml.reproducibility.draws import generator
from ml.reproducibility.linear_algebra import single_threaded

KERNEL = ("kernel_ridge",)
USERS = {"kernel_rows": KERNEL, "gamma": KERNEL}
PERMUTATIONS = 50
"""Permutations of the null. They share all that depends on codes alone."""


@register
class R2(Metric):
    r"""R²: how much of the factors' variance a regression on all codes explains.

    .. math:: \frac{1}{K} \sum_k 1 -
        \frac{\sum_n (v_{nk} - \hat v_{nk})^2}{\sum_n (v_{nk} - \bar v_k)^2}

    Higher is better, and 1 is best. A regression on the training rows predicts each factor from all
    codes. `r2_test` is over the test rows, and `r2_train` over the rows that were fitted. There is
    no lower bound: it is 0 for the mean of the rows and negative for worse, as for codes that know
    nothing. In the literature these are not cut at 0, nor are they here. `predictor` is

    - `linear`: least squares. 1 means that the factors are a linear function of the codes, whatever
      the rotation. This is what theory calls linear, or affine, identifiability.
    - `kernel_ridge`: a radial kernel, exp(-gamma |z - z'|²), on codes standardised by the training
      rows. 1 means that the factors are a smooth function of the codes. At most `kernel_rows`
      training rows are fitted, drawn by the seed, so that the cost grows linearly with all rows.
      For each factor leave-one-out errors choose the penalty among 0.001, 0.01, 0.1, 1 and 10.

    It says whether the factors can be read off, and nothing of disentanglement: a rotated code has
    the R² of the code itself. Read it beside `mcc`. The values of discrete factors are taken as
    numbers in their order, so for classes without an order it depends on how they are numbered.

    Raises:
        ConstantFactor: a factor takes a single value on the rows that are fitted, or on test rows.
        UnusableRows: there are no test rows.

    References:
        Zimmermann et al., 2021, https://arxiv.org/abs/2102.08850 (linear);
        von Kügelgen et al., 2021, https://arxiv.org/abs/2106.04619 (kernel ridge)
    """

    name: Literal["r2"] = "r2"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = (
        Number("r2_train", range=(None, 1.0)),
        Number("r2_test", range=(None, 1.0)),
    )
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "linear"}, "cheap"),
        AuditSetting({"predictor": "kernel_ridge"}, "fitted"),
    )
    predictor: Literal["linear", "kernel_ridge"] = "linear"
    """The regression of a factor on all codes."""
    kernel_rows: Annotated[int, Field(ge=2, le=5000)] = 1000
    """Most training rows that kernel_ridge is fitted on."""
    gamma: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Inverse squared width of kernel_ridge's kernel. With null it is 1 / the median of the squared
    distances between the fitted rows."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> R2:
        refuse_unused(self, "predictor", USERS)
        return self

    def compute(self, rows: Rows) -> dict[str, Value]:
        rows.continue_or_stop()
        with single_threaded():
            predictor = self._predictor(rows)
            found = _judged(predictor, rows)
        return {
            name: Value(
                float(per_factor.mean()),
                {
                    "factors": list(rows.factor_names),
                    "per_factor": per_factor.tolist(),
                    "fitted_rows": len(predictor.fitted),
                },
            )
            for name, per_factor in found.items()
        }

    def null(self, rows: Rows) -> Draws:
        several = []
        with single_threaded():
            predictor = self._predictor(rows)
            for index in permutations(rows, PERMUTATIONS):
                # A rare class may be missing in the training rows or in the test rows.
                with suppress(ConstantFactor):
                    several.append(_judged(predictor, rows.with_factors_of(index)))
        if len(several) < FEWEST_PERMUTATIONS:
            raise UnusableRows(
                f"a factor is constant on a part of the rows in {PERMUTATIONS - len(several)} of"
                f" {PERMUTATIONS} permutations"
            )
        return {
            number.name: np.array([found[number.name].mean() for found in several])
            for number in self.numbers
        }

    def _predictor(self, rows: Rows) -> _Predictor:
        train = training_part(rows)
        codes = standardised(rows.codes, train)
        if self.predictor == "linear":
            return _Predictor(codes, np.arange(train), _least_squares(codes[:train]))
        fitted = np.arange(train)
        if train > self.kernel_rows:
            chosen = generator(rows.seed, "kernel rows").permutation(train)[: self.kernel_rows]
            fitted = np.sort(chosen)
        return _Predictor(codes, fitted, kernel_ridge(codes[fitted], self.gamma).fit)


@dataclass(frozen=True)
class _Predictor:
    """What is known of codes before it is known what they shall predict."""

    codes: Float[np.ndarray, "samples latents"]
    fitted: Int[np.ndarray, "fitted"]
    """Indices of the rows that are fitted."""
    fit: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
    """Takes the targets of these rows, and gives what predicts the targets of others' codes."""


def _judged(predictor: _Predictor, rows: Rows) -> dict[str, np.ndarray]:
    """R² of each factor on the rows that were fitted and on test rows."""
    factors = unit_interval(factor_values(rows, rows.train))
    parts = {
        "r2_train": (predictor.fitted, "the training rows that are fitted"),
        "r2_test": (np.arange(rows.train, len(rows)), "the test rows"),
    }
    for part, name in parts.values():
        for column in np.flatnonzero(factors[part].max(0) == factors[part].min(0)):
            value = rows.factors[part[0], column].item()
            remedy = "shuffle the rows if they are in an order, or give more of them"
            raise ConstantFactor(rows.factor_names[column], int(column), value, name, remedy)
    predict = predictor.fit(factors[predictor.fitted])
    # A test row may lie beyond all bounds of the training rows. Then the value is -inf, an error.
    with np.errstate(over="ignore"):
        return {
            name: _explained(factors[part], predict(predictor.codes[part]))
            for name, (part, _) in parts.items()
        }


def _explained(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 - ((values - predicted) ** 2).mean(0) / values.var(0)
    return found


def _least_squares(
    codes: Float[np.ndarray, "train latents"],
) -> Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """Least squares on these codes. Of equally good coefficients the shortest are taken."""
    mean = codes.mean(0)
    inverse = np.linalg.pinv(codes - mean, rcond=max(codes.shape) * np.finfo(np.float64).eps)

    def fit(targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        offset = targets.mean(0)
        coefficients = inverse @ (targets - offset)
        return lambda others: (others - mean) @ coefficients + offset

    return fit
