"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.disentanglement import (
    completeness,
    completeness_per_factor,
    disentanglement,
    disentanglement_per_code,
)
from ml.metrics.predictors import importance as _importance
from ml.metrics.predictors.classes import (
    AUDITED_BINS,
    classes,
    number_of_classes,
    training_part,
    untrained_classes,
)
from ml.metrics.predictors.importance import Prediction
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, Value

STRUCTURE = (Number("disentanglement"), Number("completeness"))
CLASSIFIED = (
    Number("informativeness_train"),
    Number("informativeness_test"),
    Number("error_train", higher_is_better=False, perfect=0.0),
    Number("error_test", higher_is_better=False, perfect=0.0),
)
REGRESSED = (
    Number("informativeness"),
    Number("error", higher_is_better=False, perfect=0.0),
)
CLASSIFIERS = ("gradient_boosting", "logistic_regression")
USERS = {
    "C": ("logistic_regression",),
    "cv": ("lasso", "random_forest"),
    "factor_bins": CLASSIFIERS,
    "repeats": ("gradient_boosting", "random_forest"),
}
ONE_FACTOR = "disentanglement compares factors and needs at least two, got one"
ONE_CODE = "completeness compares codes and needs at least two, got one"
INSTEAD = ", or choose predictor lasso, random_forest or linear"


@register
class DCI(Metric):
    r"""Disentanglement, completeness, informativeness: which codes a predictor of factors needs.

    A predictor of each factor from all codes gives the importance R_dk of each code for it. A code
    is disentangled if it matters to one factor, and a factor is complete if one code matters to it:

    .. math:: D_d = 1 - H_K(R_{d\cdot} / \textstyle\sum_k R_{dk}), \qquad
        C_k = 1 - H_D(R_{\cdot k} / \textstyle\sum_d R_{dk})

    with entropies to base K factors and D codes. `disentanglement` and `completeness` are their
    means weighted by the share of importance, or 0 if no code matters. They are in [0, 1], and
    higher is better. With a single factor any code would be disentangled, and with a single code
    any factor would be complete, so there is no value then.
    `informativeness` says how well factors are predicted, and higher is better. `error` is
    1 - informativeness, and lower is better. Both are means over factors, in [0, 1]. With
    `predictor`

    - `gradient_boosting` (the protocol): 100 boosted trees of depth 3. R is the share of the
      impurity decrease. Informativeness is accuracy, on the training and on the test rows. It
      depends strongly on the number of training rows if factors have many values, so compare at
      equal rows.
    - `logistic_regression`: on codes standardised by the training rows. R is the absolute
      coefficient averaged over classes. Informativeness is accuracy, as above.
    - `lasso`, `random_forest` (Carbonneau et al.): regression of the factors' values on all rows,
      with codes and factors stretched onto [0, 1]. Cross-validation chooses the penalty, or the
      depth and the features a split. R is the absolute coefficient, or the share of the variance
      decrease. Informativeness is max(0, 1 - 12 MSE) on the same rows, where 12 is 1 / variance of
      the uniform distribution. Completeness is the plain mean over factors. Their code leaves out
      all codes after the first that matters to no factor, and ours does not.
    - `linear`: least squares on the same scale and rows. R is the absolute coefficient.
      Informativeness is R² = 1 - MSE / variance of the factor, and equals the above for a
      uniform continuous factor.

    Importances are shares. If a lasso finds one code of use to one factor, and no code of use to
    the others, `disentanglement` is 1, though nothing is predicted. So read it beside
    informativeness and its null.

    For groups of codes by importance, predictors see all codes, and R of a group is the sum over
    its codes. `importance` and `per_code` in the details then have a row for each group.

    Eastwood and Williams use lasso and random forests and report errors. A test row whose class is
    in no training row counts as an error. `repeats` averages fits that draw from the seeds seed,
    seed + 1, ..., and the details show their spread.

    Raises:
        ConstantFactor: a factor takes a single value, on the training rows if those are fitted.
        UnfitFactor: a factor is continuous, the predictor classifies, and `factor_bins` is not set.
        UnusableRows: there are no test rows, or fewer rows than folds.

    References:
        Eastwood and Williams, 2018, https://openreview.net/forum?id=By-7dz-AZ; settings as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    version: ClassVar[int] = 2
    name: Literal["dci"] = "dci"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    sums_groups: ClassVar[bool] = True
    numbers: ClassVar[Sequence[Number]] = STRUCTURE + CLASSIFIED + REGRESSED
    # Random forests take minutes on 10,000 rows.
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "lasso"}, "cheap"),
        AuditSetting({"predictor": "linear"}, "cheap"),
        AuditSetting({"predictor": "logistic_regression"}, "fitted", AUDITED_BINS),
        AuditSetting({"predictor": "gradient_boosting"}, "slow", AUDITED_BINS),
        AuditSetting({"predictor": "random_forest"}, "slow"),
    )
    predictor: Literal[
        "gradient_boosting", "logistic_regression", "lasso", "random_forest", "linear"
    ] = "gradient_boosting"
    """The predictor of a factor from all codes."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of fits that are averaged, for predictors that draw at random."""
    C: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    """Inverse weight of the penalty on the coefficients of logistic_regression."""
    cv: Annotated[int, Field(ge=2, le=100)] = 10
    """Folds over which lasso and random_forest choose their settings."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes. Only classifiers use it."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> DCI:
        refuse_unused(self, "predictor", USERS)
        return self

    def reported(self) -> Sequence[Number]:
        if self.predictor == "logistic_regression":
            # A penalised line cannot single out a class between others, so other codes get a share.
            return tuple(replace(number, perfect=None) for number in STRUCTURE + CLASSIFIED)
        return STRUCTURE + (CLASSIFIED if self.predictor in CLASSIFIERS else REGRESSED)

    def seconds(self, rows: Rows) -> float:
        factors, latents = len(rows.factor_names), int(rows.codes.shape[1])
        work = len(rows) * latents
        if self.predictor == "linear":
            return 1e-8 * work * factors
        if self.predictor == "lasso":
            return 1e-2 * factors + 1e-7 * work * factors
        if self.predictor == "logistic_regression":
            return 1.5e-3 * factors + 5e-9 * work * number_of_classes(rows, self.factor_bins)
        return super().seconds(rows)

    def fits_training_rows(self) -> bool:
        return self.predictor in CLASSIFIERS

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        return untrained_classes(rows, self.factor_bins) if self.predictor in CLASSIFIERS else {}

    def compute(self, rows: Rows) -> dict[str, Value]:
        predictions = [self._predict(rows, rows.seed + k) for k in range(self.repeats)]
        found = [self._numbers(prediction) for prediction in predictions]
        details = self._details(rows, predictions)
        values = {
            number.name: self._averaged([one[number.name] for one in found], details[number.name])
            for number in self.reported()
        }
        latents, factors = predictions[0].importance.shape
        for name, count, why in (
            ("disentanglement", factors, ONE_FACTOR),
            ("completeness", latents, ONE_CODE),
        ):
            if count == 1:
                values[name] = Value(math.nan, details[name], why)
        return values

    def _predict(self, rows: Rows, seed: int) -> Prediction:
        found = self._prediction(rows, seed)
        return replace(found, importance=rows.summed_over_groups(found.importance))

    def _prediction(self, rows: Rows, seed: int) -> Prediction:
        if self.predictor in CLASSIFIERS:
            factors = classes(rows, training_part(rows), self.factor_bins, INSTEAD)
            if self.predictor == "gradient_boosting":
                return _importance.by_gradient_boosting(rows, factors, seed)
            return _importance.by_logistic_regression(rows, factors, self.C)
        if self.predictor == "lasso":
            return _importance.by_lasso(rows, self.cv)
        if self.predictor == "random_forest":
            return _importance.by_random_forest(rows, self.cv, seed)
        return _importance.by_linear_regression(rows)

    def _numbers(self, prediction: Prediction) -> dict[str, float]:
        importance = prediction.importance
        found = {
            "disentanglement": disentanglement(importance),
            # Carbonneau et al. do not weigh factors by their importance.
            "completeness": float(completeness_per_factor(importance).mean())
            if self.predictor in ("lasso", "random_forest")
            else completeness(importance),
        }
        for name, per_factor in prediction.informativeness.items():
            found[name] = float(per_factor.mean())
            found[name.replace("informativeness", "error")] = 1 - found[name]
        return found

    def _details(self, rows: Rows, predictions: Sequence[Prediction]) -> dict[str, dict[str, Any]]:
        importance = np.mean([prediction.importance for prediction in predictions], axis=0)
        factors = list(rows.factor_names)
        details: dict[str, dict[str, Any]] = {
            "disentanglement": {
                "factors": factors,
                "importance": importance.tolist(),
                "per_code": disentanglement_per_code(importance).tolist(),
            },
            "completeness": {
                "factors": factors,
                "per_factor": completeness_per_factor(importance).tolist(),
            },
        }
        for name in predictions[0].informativeness:
            per_factor = np.mean([one.informativeness[name] for one in predictions], axis=0)
            details[name] = {"factors": factors, "per_factor": per_factor.tolist()}
            errors = {"factors": factors, "per_factor": (1 - per_factor).tolist()}
            details[name.replace("informativeness", "error")] = errors
        return details

    def _averaged(self, values: Sequence[float], details: dict[str, Any]) -> Value:
        if self.repeats == 1:
            return Value(values[0], details)
        spread = {"values": list(values), "std": float(np.std(values, ddof=1))}
        return Value(float(np.mean(values)), {**details, "repeats": spread})
