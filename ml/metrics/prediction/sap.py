"""The Separated Attribute Predictability score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Shaped
from pydantic import Field, model_validator

from ml.codes.scaling import standardised, unit_columns, unit_interval
from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.information.gaps import best_and_second
from ml.metrics.predictors import decision_tree as _decision_tree
from ml.metrics.predictors import linear_svm as _linear_svm
from ml.metrics.predictors.classes import (
    AUDITED_BINS,
    classes,
    factor_values,
    number_of_classes,
    training_part,
    untrained_classes,
)
from ml.metrics.predictors.logistic_regression import fit_logistic_regression
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value

LEAST_VARIANCE = 1e-12
CLASSIFIERS = ("linear_svm", "logistic_regression", "decision_tree")
USERS = {
    "C": ("linear_svm", "logistic_regression"),
    "cv": ("decision_tree",),
    "factor_bins": CLASSIFIERS,
}


def sap(scores: Float[np.ndarray, "latents factors"]) -> Float[np.ndarray, "factors"]:
    """The lead of each factor's best code over its second best in predicting the factor.

    `scores` says how well each single code predicts each factor. With a single code there is no
    second code, and its score counts as 0.
    """
    best, second = best_and_second(scores)
    gaps: np.ndarray = best - second
    return gaps


def squared_correlations(
    codes: Shaped[np.ndarray, "samples latents"], factors: Shaped[np.ndarray, "samples factors"]
) -> Float[np.ndarray, "latents factors"]:
    r"""Squared Pearson correlation of every code with every factor.

    .. math:: \frac{\mathrm{Cov}(z_d, v_k)^2}{\mathrm{Var}(z_d) \mathrm{Var}(v_k)}

    in [0, 1]. It is the :math:`R^2` of a linear regression of the factor on that code, and 0 for a
    constant code or factor.
    """
    found: np.ndarray = ((unit_columns(codes).T @ unit_columns(factors)) ** 2).clip(max=1.0)
    return found


@register
class SAP(Metric):
    r"""Separated Attribute Predictability: the lead of each factor's best code in predicting it.

    .. math:: \frac{1}{K} \sum_k \left(S_{(1)k} - S_{(2)k}\right)

    where S_dk says how well the single code d predicts factor k, and (1), (2) are the two codes
    that do so best. It is in [0, 1], and higher is better. S depends on `predictor`:

    - `linear_svm` (the protocol): accuracy on the test rows of a linear support vector machine,
      one class against the others, balanced, codes as given. On one code each class has a line, and
      few of the values between the lowest and the highest have the largest decision value. So a
      perfect code scores 0.16 if factors have 5, 6, 7 and 10 values. The score depends on the scale
      of codes, as slope and offset are penalised. Each machine is solved to the minimum that
      LIBLINEAR approaches.
    - `logistic_regression`: accuracy on the test rows, on codes standardised by the
      training rows.
    - `decision_tree`: accuracy on all rows, on which the trees are also fitted (Carbonneau et al.).
      Their depth of 1 to 9 is chosen by cross-validation. It is high for noise, too.
    - `correlation`: squared correlation on the training rows, or 0 if a code's variance is at most
      1e-12 (the protocol for continuous factors). It takes the values of any factor as numbers.
    - `linear_regression`: R² on all rows (Carbonneau et al.). It, too, takes the values of any
      factor as numbers.

    Kumar et al. use `linear_svm` for discrete factors and `correlation` for continuous ones. A test
    row whose class is in no training row counts as an error.

    Raises:
        ConstantFactor: a factor takes a single value, on the training rows if those are fitted.
        UnfitFactor: a factor is continuous, the predictor classifies, and `factor_bins` is not set.
        UnusableRows: there are no test rows, or even the largest class has fewer rows than folds.

    References:
        Kumar et al., 2018, https://arxiv.org/abs/1711.00848; settings as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    name: Literal["sap"] = "sap"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = (Number("sap", perfect=None),)
    leads: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"predictor": "linear_svm"}, "cheap", AUDITED_BINS),
        AuditSetting({"predictor": "correlation"}, "cheap"),
        AuditSetting({"predictor": "linear_regression"}, "cheap"),
        AuditSetting({"predictor": "logistic_regression"}, "fitted", AUDITED_BINS),
        AuditSetting({"predictor": "decision_tree"}, "fitted", AUDITED_BINS),
    )
    predictor: Literal[
        "linear_svm", "logistic_regression", "decision_tree", "correlation", "linear_regression"
    ] = "linear_svm"
    """The predictor of a factor from a code."""
    C: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """Inverse weight of the penalty. Null is 0.01 for linear_svm and 1 for logistic_regression."""
    cv: Annotated[int, Field(ge=2, le=100)] = 10
    """Folds over which decision_tree chooses its depth."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes. Only classifiers use it."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> SAP:
        refuse_unused(self, "predictor", USERS)
        return self

    def reported(self) -> Sequence[Number]:
        # 1 requires that the second best code predicts nothing, but a classifier can always guess.
        return (Number("sap", perfect=None if self.predictor in CLASSIFIERS else 1.0),)

    def seconds(self, rows: Rows) -> float:
        latents: int = rows.codes.shape[1]
        pairs = latents * len(rows.factor_names)
        if self.predictor in ("correlation", "linear_regression"):
            return 1e-8 * len(rows) * pairs
        work = len(rows) * latents * number_of_classes(rows, self.factor_bins)
        if self.predictor == "linear_svm":
            return 6e-9 * work
        if self.predictor == "logistic_regression":
            return 1.5e-3 * pairs + 2.5e-8 * work
        return super().seconds(rows)

    def fits_training_rows(self) -> bool:
        return self.predictor not in ("decision_tree", "linear_regression")

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:
        return self.compute(rows.with_perfect_codes())

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        if self.predictor not in ("linear_svm", "logistic_regression"):
            return {}
        return untrained_classes(rows, self.factor_bins)

    def compute(self, rows: Rows) -> dict[str, Value]:
        scores = self._scores(rows)
        gaps = sap(scores)
        details = {
            "factors": list(rows.factor_names),
            "gaps": gaps.tolist(),
            "scores": scores.tolist(),
        }
        return {"sap": Value(float(gaps.mean()), details)}

    def _scores(self, rows: Rows) -> np.ndarray:
        match self.predictor:
            case "linear_svm":
                return self._linear_svm(rows)
            case "logistic_regression":
                return self._logistic_regression(rows)
            case "decision_tree":
                return self._decision_tree(rows)
            case "correlation":
                factors = factor_values(rows, rows.train)[: rows.train]
                codes = rows.codes[: rows.train].astype(np.float64)
                with np.errstate(over="ignore"):
                    dead = codes.var(0, ddof=1) <= LEAST_VARIANCE
                return np.where(dead[:, None], 0.0, squared_correlations(codes, factors))
            case "linear_regression":
                return squared_correlations(rows.codes, factor_values(rows, len(rows)))

    def _linear_svm(self, rows: Rows) -> np.ndarray:
        train = training_part(rows)
        factors = classes(rows, train, self.factor_bins, INSTEAD)
        scores = np.empty((rows.codes.shape[1], len(factors)))
        for d, code in enumerate(rows.codes.T):
            rows.continue_or_stop()
            scores[d] = _linear_svm.accuracies(
                code[:train], code[train:], factors, 0.01 if self.C is None else self.C
            )
        return scores

    def _logistic_regression(self, rows: Rows) -> np.ndarray:
        train = training_part(rows)
        codes = standardised(rows.codes, train)
        scores = np.empty((codes.shape[1], rows.factors.shape[1]))
        for k, factor in enumerate(classes(rows, train, self.factor_bins, INSTEAD)):
            for d, code in enumerate(codes.T):
                rows.continue_or_stop()
                column = code[:, None]
                model = fit_logistic_regression(
                    column[:train], factor.fit, 1.0 if self.C is None else self.C
                )
                scores[d, k] = (model.predict(column[train:]) == factor.test).mean()
        return scores

    def _decision_tree(self, rows: Rows) -> np.ndarray:
        codes = unit_interval(rows.codes)
        scores = np.empty((codes.shape[1], rows.factors.shape[1]))
        for k, factor in enumerate(classes(rows, len(rows), self.factor_bins, INSTEAD)):
            most = np.bincount(factor.fit).max()
            if most < self.cv:
                raise UnusableRows(
                    f"no class of factor {rows.factor_names[k]!r} has a row for each of {self.cv}"
                    f" folds, the largest has {most}; lower cv, or set factor_bins"
                )
            folds = _decision_tree.stratified_folds(factor.fit, self.cv)
            for d, code in enumerate(codes.T):
                rows.continue_or_stop()
                scores[d, k] = _decision_tree.accuracy(code, factor.fit, folds)
        return scores


INSTEAD = ", or choose predictor correlation or linear_regression"
