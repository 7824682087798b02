"""Explicitness: whether a linear classifier reads the factors off the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.codes.scaling import standardised, unit_interval
from ml.components.registry import register
from ml.metrics.predictors.classes import (
    AUDITED_BINS,
    classes,
    number_of_classes,
    training_part,
    untrained_classes,
)
from ml.metrics.predictors.logistic_regression import (
    fit_logistic_regression,
    one_vs_rest_probabilities,
)
from ml.metrics.predictors.ranking import areas_under_curves
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value

# A perfect code does not score 1, as a line cannot single out a class between others, however the
# models are combined. Codes that are dSprites' factors score 0.977, and golden p01 scores 0.989 one
# against the rest.
MULTINOMIAL = (
    Number("explicitness_train", perfect=None),
    Number("explicitness_test", perfect=None),
)
ONE_VS_REST = (Number("explicitness", range=(-1.0, 1.0), perfect=None),)


@register
class Explicitness(Metric):
    r"""Explicitness: how well logistic regression on all codes ranks the classes of each factor.

    .. math:: \frac{1}{K} \sum_k \frac{1}{|v_k|} \sum_c \mathrm{AUC}_{kc}

    where AUC is the area under the ROC curve of class c of factor k against the factor's other
    classes. Higher is better. With `variant`

    - `multinomial` (the protocol): one multinomial model for each factor, on codes standardised by
      the training rows. `explicitness_train` and `explicitness_test` are the areas on either part.
      They are in [0, 1] and not rescaled: chance gives 0.5. A dead code is left as zeros, where
      disentanglement_lib divides by its deviation of zero.
    - `one_vs_rest` (Carbonneau et al.): one balanced model for each class, on codes stretched onto
      [0, 1], fitted and judged on all rows. A class's probability is divided by the sum over
      classes. `explicitness` is 2 (AUC - 1/2), in [-1, 1]: chance gives 0.
    - `binary` (the second implementation of Carbonneau et al.): the same models, but each is judged
      by its own probability, which is monotone along a line. So classes between others rank no
      better than chance: perfect codes of factors of 5, 6, 7 and 10 values have 0.58 where
      `one_vs_rest` has 0.99.

    If no test row has a class, or all have it, the class has no area there and is left out of the
    mean of its factor. Test rows of a class that no training row has belong to no class.

    Raises:
        ConstantFactor: a factor takes a single value on the rows of the fit.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: there are no test rows (`multinomial`), or none that gives an area.

    References:
        Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312; variants as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    name: Literal["explicitness"] = "explicitness"
    uses: ClassVar[Literal["all", "split", "test"]] = "split"
    numbers: ClassVar[Sequence[Number]] = MULTINOMIAL + ONE_VS_REST
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"variant": "multinomial"}, "fitted", AUDITED_BINS),
        AuditSetting({"variant": "one_vs_rest"}, "fitted", AUDITED_BINS),
    )
    variant: Literal["multinomial", "one_vs_rest", "binary"] = "multinomial"
    """The models that are fitted, and the rows on which they are judged."""
    C: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    """Inverse weight of the penalty on coefficients."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes."""

    def reported(self) -> Sequence[Number]:
        return MULTINOMIAL if self.variant == "multinomial" else ONE_VS_REST

    def seconds(self, rows: Rows) -> float:
        number = number_of_classes(rows, self.factor_bins)
        work = rows.codes.size * number
        if self.variant == "multinomial":
            return 1.5e-3 * len(rows.factor_names) + 1.2e-8 * work
        return 1.5e-3 * number + 4e-8 * work

    def fits_training_rows(self) -> bool:
        return self.variant == "multinomial"

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:
        if self.variant != "multinomial":
            return {}
        return untrained_classes(rows, self.factor_bins)

    def compute(self, rows: Rows) -> dict[str, Value]:
        areas = (
            self._multinomial(rows) if self.variant == "multinomial" else self._one_vs_rest(rows)
        )
        return {
            name: Value(
                float(np.mean(per_factor)),
                {"factors": list(rows.factor_names), "per_factor": per_factor},
            )
            for name, per_factor in areas.items()
        }

    def _multinomial(self, rows: Rows) -> dict[str, list[float]]:
        train = training_part(rows)
        codes = standardised(rows.codes, train)
        of_train, of_test = [], []
        for k, factor in enumerate(classes(rows, train, self.factor_bins, "")):
            rows.continue_or_stop()
            model = fit_logistic_regression(codes[:train], factor.fit, self.C)
            probabilities = model.predict_proba(codes)
            name = rows.factor_names[k]
            of_train.append(_mean_area(probabilities[:train], factor.fit, name))
            of_test.append(_mean_area(probabilities[train:], factor.test, name))
        return {"explicitness_train": of_train, "explicitness_test": of_test}

    def _one_vs_rest(self, rows: Rows) -> dict[str, list[float]]:
        codes = unit_interval(rows.codes)
        found = []
        for k, factor in enumerate(classes(rows, len(rows), self.factor_bins, "")):
            probabilities = one_vs_rest_probabilities(
                codes,
                factor.fit,
                self.C,
                rows.continue_or_stop,
                divided=self.variant == "one_vs_rest",
            )
            found.append(2 * _mean_area(probabilities, factor.fit, rows.factor_names[k]) - 1)
        return {"explicitness": found}


def _mean_area(probabilities: np.ndarray, factor: np.ndarray, name: str) -> float:
    areas = areas_under_curves(probabilities, factor)
    known = areas[~np.isnan(areas)]
    if not known.size:
        raise UnusableRows(
            f"the {len(factor)} test rows are all of one class of factor {name!r}, or of classes"
            " without training rows; shuffle the rows if they are in an order, or give more test"
            " rows"
        )
    return float(known.mean())
