"""The Interventional Robustness Score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Int
from pydantic import Field, model_validator

from ml.components.registry import register
from ml.metrics.intervention.groups import factor_labels
from ml.metrics.intervention.intervention_metric import InterventionMetric, once
from ml.metrics.protocol import AuditSetting, Number, Rows, Value

ALL_CONSTANT = "all codes are constant"


@register
class IRS(InterventionMetric):
    r"""Interventional Robustness Score: how little a code moves while a factor keeps its value.

    .. math:: \mathrm{IRS}_{dk} = 1 - \frac{1}{|V_k|} \sum_{v}
        \frac{Q(|z_d - \mathrm{E}[z_d \mid v_k = v]|)}{\max |z_d - \mathrm{E}[z_d]|}

    Q is the `quantile` of the distances among the rows of one value. A code scores its best factor,
    and the score is the mean over codes, weighted by their largest deviation. Constant codes are
    left out, and the score is 0 if all codes are constant. It is in [-1, 1], and higher is better.
    It is 1 if every code is a function of one factor of at most `bins` values.

    A factor of more values, or a continuous one, is cut into bins, and a perfect code then moves
    within them: the details' `on_perfect_codes` says what it scores. A value of a single row counts
    as one that moves no code, so that few rows score high. Read the score beside its null.

    Suter et al. take the maximum (`quantile` 1). The protocol takes the 0.99 quantile, in 20 bins
    of equal width. Carbonneau et al. take 1 with 10 bins and `scaled`, or the values as they are
    (`bins` null). disentanglement_lib prints the sum of the codes as the number of active latents;
    ours are the codes that are not constant.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, and `bins` is null.

    References:
        Suter et al., 2019, https://arxiv.org/abs/1811.00007; settings as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    name: Literal["irs"] = "irs"
    numbers: ClassVar[Sequence[Number]] = (Number("irs", range=(-1.0, 1.0)),)
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(cost="cheap"),)
    quantile: Annotated[float, Field(gt=0, le=1)] = 0.99
    """The quantile of a code's distances to its mean among the rows of one value."""
    bins: Annotated[int, Field(ge=2, le=1000)] | None = 20
    """Number of bins of equal width that every factor is cut into. Null keeps the values of
    discrete factors."""
    scaled: bool = False
    """Scale factors to [0, 1] before they are cut, as Carbonneau et al. do. Only values that lie on
    an edge up to rounding can change their bin."""

    @model_validator(mode="after")
    def _factors_are_cut_if_scaled(self) -> IRS:
        if self.scaled and self.bins is None:
            raise ValueError("scaled changes only how factors are cut: set bins, too")
        return self

    def seconds(self, rows: Rows) -> float:
        cells = len(rows) * int(rows.codes.shape[1]) * len(rows.factor_names)
        return 1e-3 + 2e-9 * cells

    def labels(self, rows: Rows) -> Int[np.ndarray, "factors samples"]:
        return factor_labels(rows, self.bins, scaled=self.scaled, param="bins")

    def judged(
        self,
        rows: Rows,
        labels: Int[np.ndarray, "factors samples"],
        draws: np.random.Generator,  # noqa: ARG002
    ) -> dict[str, Value]:
        # numba is imported by whoever computes, not by whoever lists the metrics.
        from ml.metrics.intervention import _kernels

        factors = list(rows.factor_names)
        codes, furthest, active = once(rows, "centred codes", lambda: _centred(rows.codes))
        if not len(active):
            return {"irs": Value(0.0, {"factors": factors, "active": [], "reason": ALL_CONSTANT})}
        tail = _tail(labels, self.quantile)
        moved = _kernels.deviations(
            codes,
            labels,
            labels.max(1).astype(np.int64) + 1,
            self.quantile,
            *once(rows, ("tails of codes", tail), lambda: _tails(codes, tail)),
        )
        matrix = 1 - moved / furthest[:, None]
        best = matrix.max(1)
        details = {
            "factors": factors,
            "active": active.tolist(),
            "irs": matrix.tolist(),
            "per_code": best.tolist(),
            "weights": furthest.tolist(),
        }
        return {"irs": Value(float(np.average(best, weights=furthest)), details)}

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:
        return self.compute(rows.with_perfect_codes())


def _centred(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The codes that are not constant, with a mean of zero, their largest sizes, their columns."""
    active = np.flatnonzero(codes.min(0) != codes.max(0))
    centred = np.ascontiguousarray(codes[:, active], dtype=np.float64)
    centred -= centred.mean(0)
    return centred, np.abs(centred).max(0), active


def _tail(labels: np.ndarray, quantile: float) -> int:
    """How many of a code's outermost rows hold the quantile of every group of random rows.

    It is 0 if that takes half of all rows or more.
    """
    samples = labels.shape[1]
    counts = np.concatenate([np.bincount(of_factor) for of_factor in labels])
    counts = counts[counts > 0]
    needed = (counts - 1) * (1 - quantile) + 2
    # Four deviations more than are expected.
    share = float(((needed + 4 * np.sqrt(needed) + 4) / counts).max())
    rows: int = 1 << math.ceil(math.log2(max(1.0, share * samples)))
    return 0 if rows > samples / 2 else rows


def _tails(codes: np.ndarray, tail: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows in which each code is furthest from 0, and the distance of the nearest of them."""
    latents = codes.shape[1]
    found, beyond = np.empty((latents, tail), np.int32), np.zeros(latents)
    for d in range(latents if tail else 0):
        distances = np.abs(codes[:, d])
        found[d] = np.argpartition(distances, -tail)[-tail:]
        beyond[d] = distances[found[d]].min()
    return found, beyond
