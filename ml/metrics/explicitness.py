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

# Not 1 on a perfect code: a line does not single out a class between others, however the models are
# combined (0.977 on codes that are dSprites' factors, 0.989 one against the rest on golden p01).
MULTINOMIAL = (
    Number("explicitness_train", perfect=None),
    Number("explicitness_test", perfect=None),
)
ONE_VS_REST = (Number("explicitness", range=(-1.0, 1.0), perfect=None),)


@register
class Explicitness(Metric):
    r"""Explicitness: how well logistic regression on all codes ranks the classes of each factor.

    .. math:: \frac{1}{K} \sum_k \frac{1}{|v_k|} \sum_c \mathrm{AUC}_{kc}

    where the area under the ROC curve is that of class c of factor k against its others. Higher is
    better. With `variant`

    - `multinomial` (the protocol): one multinomial model a factor, codes standardised by the
      training rows; `explicitness_train` and `explicitness_test` are the areas on either part.
      In [0, 1] and not rescaled: 0.5 by chance. A dead code is left as zeros, where
      disentanglement_lib divides by its deviation of zero.
    - `one_vs_rest` (Carbonneau et al.): a balanced model a class, codes stretched onto [0, 1],
      fitted and judged on all rows; `explicitness` is 2 (AUC - 1/2), in [-1, 1]: 0 by chance.

    A class of which there are no test rows, or nothing else, has no area there and is left
    out of the mean of its factor. Test rows of a class that no training row has are rows
    of none.

    Raises:
        ConstantFactor: a factor takes a single value on the rows of the fit.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: no test rows (`multinomial`), or none that gives any area.

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
    variant: Literal["multinomial", "one_vs_rest"] = "multinomial"
    """Which models are fitted, and on which rows they are judged."""
    C: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    """Inverse weight of the penalty on coefficients."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Classes of equal width that every factor is cut into; null takes the values of discrete
    factors as they are."""

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
                codes, factor.fit, self.C, rows.continue_or_stop
            )
            found.append(2 * _mean_area(probabilities, factor.fit, rows.factor_names[k]) - 1)
        return {"explicitness": found}


def _mean_area(probabilities: np.ndarray, factor: np.ndarray, name: str) -> float:
    areas = areas_under_curves(probabilities, factor)
    known = areas[~np.isnan(areas)]
    if not known.size:
        raise UnusableRows(
            f"the {len(factor)} test rows do not tell any class of factor {name!r} known from the"
            " training rows from others; shuffle the rows where they stand in an order, or give"
            " more test rows"
        )
    return float(known.mean())
