"""Active units: how many latents vary with the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.codes.uncertainty import Numbers, subsample_errors
from ml.components.registry import register
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value

SUBSAMPLES = 200
"""Number of subsamples for an interval."""


@register
class ActiveUnits(Metric):
    r"""Active units: the number of latents whose posterior mean varies with the image.

    .. math:: \sum_d [\mathrm{Var}_x(E[z_d|x]) > \tau]

    The threshold is 0.01 with a prior of variance 1. `active_units` is their number and
    `active_share` their share of all latents. Neither more nor less is better by itself: a model
    needs as many as the data have factors. The variance has the divisor N - 1.

    Variances are those of posterior means, whichever codes are scored. If no posteriors are known,
    the codes count as means. Samples would be active in any case, since a collapsed latent's
    samples have the variance of the prior. Codes of an encoder without a prior have a scale of
    their own, to which the threshold may not fit.

    Raises:
        UnusableRows: there is a single row.

    References:
        Burda et al., 2016, https://arxiv.org/abs/1509.00519
    """

    name: Literal["active_units"] = "active_units"
    needs_factors: ClassVar[bool] = False
    takes_populations: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(cost="cheap"),)
    numbers: ClassVar[Sequence[Number]] = (
        Number("active_units", higher_is_better=None, range=(0.0, None), perfect=None),
        Number("active_share", higher_is_better=None, perfect=None),
    )
    threshold: Annotated[float, Field(gt=0)] = 0.01
    """The variance above which a latent is active."""

    def compute(self, rows: Rows) -> dict[str, Value]:
        means = rows.codes if rows.posteriors is None else rows.posteriors.mean
        if len(rows) < 2:
            raise UnusableRows("active_units needs at least two rows, got one")
        with np.errstate(over="ignore"):
            variances = means.astype(np.float64).var(axis=0, ddof=1)
        variances = variances.clip(max=np.finfo(np.float64).max)
        active = variances > self.threshold
        details = {"active": active.tolist(), "variances": variances.tolist()}
        return {
            "active_units": Value(float(active.sum()), details),
            "active_share": Value(float(active.mean()), details),
        }

    def half_widths(self, rows: Rows) -> Numbers:
        return subsample_errors(self.values, rows, SUBSAMPLES)
