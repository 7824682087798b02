"""InfoMEC: modularity, explicitness and compactness in terms of information."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, model_validator

from ml.codes.scaling import standardised
from ml.codes.uncertainty import Draws, affordable, permutations
from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.identifiability.nearest_neighbours import information_by_neighbours, sorted_column
from ml.metrics.information.mutual_information import information
from ml.metrics.predictors.classes import (
    AUDITED_BINS,
    MOST_CELLS,
    Classes,
    classes,
    number_of_classes,
)
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value
from ml.reproducibility.draws import generator
from ml.reproducibility.linear_algebra import single_threaded

JITTER = 1e-10
"""Deviation of what is added to a latent to break ties, in the latent's deviations."""
USERS = {"neighbours": ("continuous",), "prune_below": ("continuous",)}
ITERATIONS = 100
"""Most steps of the logistic regression, as in the published code."""
ONE_FACTOR = "info_m compares factors and needs at least two, got one"
ONE_LATENT = "info_c compares active latents and needs at least two, got {}"


@register
class InfoMEC(Metric):
    r"""InfoMEC: modularity, explicitness and compactness, from shares of information.

    With the share of a factor's entropy that a latent holds, S_dk = I(z_d; v_k) / H(v_k), and the A
    active latents,

    .. math:: \mathrm{InfoM} = \frac{\frac1A \sum_d \frac{\max_k S_{dk}}{\sum_k S_{dk}}
        - \frac1K}{1 - \frac1K}, \qquad
        \mathrm{InfoC} = \frac{\frac1K \sum_k \frac{\max_d S_{dk}}{\sum_d S_{dk}}
        - \frac1A}{1 - \frac1A}

    `info_m` is modularity: whether a latent knows one factor. `info_c` is compactness: whether one
    latent knows a factor. `info_e` is explicitness: the mean over factors of 1 - L_k / log |v_k|,
    where L_k is the log loss of a multinomial logistic regression on all latents, balanced and
    without a penalty, on the rows that it is fitted on. It takes 100 steps of L-BFGS at most, as
    the published code does. All are at most 1, and higher is better. The first two are at least 0.
    The third is so too with balanced classes, but may be negative without.

    Of a latent that knows hardly anything the ratios say chance. On pure noise `info_m` is about
    0.5 and `info_c` 0.4, so never read them without `info_e` and their null.

    With `latents`

    - `continuous`: I is estimated from distances to the nearest neighbours, after a jitter of
      1e-10 deviations that breaks ties. A latent is active if its range is above `prune_below` of
      the widest latent's. So rescaling one latent may change which are active.
    - `discrete`: every different value of a latent is a class. I is the plug-in estimate,
      `info_e` is of latents as one-hot columns, and a latent is active if it varies.

    A latent that knows nothing of any factor scores the chance of 1 / K before rescaling, where the
    published code gives NaN, and so does a factor that no active latent knows. With one active
    latent there is no `info_c`, and with one factor no `info_m`. With none both are 0.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: discrete latents have too many values.

    References:
        Hsu et al., 2023, https://arxiv.org/abs/2305.18378
    """

    name: Literal["info_mec"] = "info_mec"
    numbers: ClassVar[Sequence[Number]] = (
        Number("info_m"),
        Number("info_e", range=(None, 1.0)),
        Number("info_c"),
    )
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting({}, "fitted", AUDITED_BINS),)
    latents: Literal["continuous", "discrete"] = "continuous"
    """Whether latents are numbers, or classes such as those of quantised models."""
    neighbours: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of nearest neighbours for continuous latents."""
    prune_below: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the widest latent's range that an active continuous latent must exceed. The
    published training code takes 1/8."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of classes of equal width that every factor is cut into. With null, the values of
    discrete factors are the classes."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> InfoMEC:
        refuse_unused(self, "latents", USERS)
        return self

    def seconds(self, rows: Rows) -> float:
        return 3e-3 * len(rows.factor_names) + 2e-7 * rows.codes.size * number_of_classes(
            rows, self.factor_bins
        )

    def compute(self, rows: Rows) -> dict[str, Value]:
        factors = self._factors(rows)
        found = self._ratios(rows, self._shares(rows, [factors])[0])
        per_factor = self._explicitness(rows, factors)
        details = {"factors": list(rows.factor_names), "per_factor": per_factor}
        return {**found, "info_e": Value(float(np.mean(per_factor)), details)}

    def null(self, rows: Rows) -> Draws:
        """More permutations of `info_m` and `info_c` than of `info_e`, which takes long fits."""
        pairs = rows.codes.shape[1] * len(rows.factor_names)
        several = [
            self._factors(rows.with_factors_of(index))
            for index in permutations(rows, affordable(5e-7 * len(rows) * pairs))
        ]
        ratios = [self._ratios(rows, shares) for shares in self._shares(rows, several)]
        # On noise the fits end after a few steps.
        fits = several[: affordable(0.1 * self.seconds(rows))]
        explicit = [np.mean(self._explicitness(rows, factors)) for factors in fits]
        return {
            **{
                name: np.array([found[name].value for found in ratios])
                for name in ("info_m", "info_c")
            },
            "info_e": np.array(explicit),
        }

    def _factors(self, rows: Rows) -> list[Classes]:
        return classes(rows, len(rows), self.factor_bins, "")

    def _shares(
        self, rows: Rows, several: Sequence[Sequence[Classes]]
    ) -> list[Float[np.ndarray, "latents factors"]]:
        """The share of each factor's entropy that each latent holds, for each set of factors."""
        if self.latents == "discrete":
            numbered = np.stack(_numbered(rows.codes), axis=1)
            known = [
                information(numbered, np.stack([one.fit for one in factors], axis=1))
                for factors in several
            ]
            return [one.mutual / one.factors for one in known]
        codes = standardised(rows.codes, len(rows))
        jittered = codes + JITTER * generator(rows.seed, "jitter").normal(size=codes.shape)
        found = [np.empty((codes.shape[1], len(factors))) for factors in several]
        for d, code in enumerate(jittered.T):
            column = sorted_column(code)
            for shares, factors in zip(found, several, strict=True):
                rows.continue_or_stop()
                shares[d] = [
                    information_by_neighbours(column, factor.fit, self.neighbours)
                    / _entropy(factor)
                    for factor in factors
                ]
        return found

    def _active(self, rows: Rows) -> Bool[np.ndarray, "latents"]:
        low, high = rows.codes.min(0), rows.codes.max(0)
        ranges = high.astype(np.float64) - low.astype(np.float64)
        least = self.prune_below * ranges.max() if self.latents == "continuous" else 0.0
        active: np.ndarray = ranges > least
        return active

    def _ratios(self, rows: Rows, shares: Float[np.ndarray, "latents factors"]) -> dict[str, Value]:
        """InfoM and InfoC with their parts."""
        active = self._active(rows)
        latents, factors = int(active.sum()), shares.shape[1]
        details: dict[str, Any] = {
            "factors": list(rows.factor_names),
            "shares": shares.tolist(),
            "active": active.tolist(),
        }
        per_latent, per_factor = _leading(shares[active]), _leading(shares[active].T)
        modularity, compactness = (
            _above_chance(per_latent, factors),
            _above_chance(per_factor, latents),
        )
        return {
            "info_m": Value(
                modularity,
                {**details, "per_active_latent": per_latent.tolist()},
                ONE_FACTOR if factors == 1 else None,
            ),
            "info_c": Value(
                compactness,
                {**details, "per_factor": per_factor.tolist()},
                ONE_LATENT.format("one") if latents == 1 else None,
            ),
        }

    def _explicitness(self, rows: Rows, factors: Sequence[Classes]) -> list[float]:
        columns = self._columns(rows)
        found = []
        for factor in factors:
            rows.continue_or_stop()
            # Without codes a balanced model gives every class the same probability.
            found.append(1 - _log_loss(columns, factor.fit) / math.log(factor.number))
        return found

    def _columns(self, rows: Rows) -> Float[np.ndarray, "samples columns"]:
        """What the regression sees of the latents."""
        if self.latents == "continuous":
            return standardised(rows.codes, len(rows))
        numbered = _numbered(rows.codes)
        values = [int(of.max()) + 1 for of in numbered]
        if sum(values) * len(rows) > MOST_CELLS:
            raise UnusableRows(
                f"the latents have {sum(values)} values in {len(rows)} rows, too many to be"
                " classes: set latents to continuous"
            )
        return np.concatenate(
            [np.eye(size)[of] for of, size in zip(numbered, values, strict=True)], axis=1
        )


def _numbered(codes: np.ndarray) -> list[np.ndarray]:
    """The values of each latent, numbered from 0."""
    return [np.unique(code, return_inverse=True)[1] for code in codes.T]


def _entropy(factor: Classes) -> float:
    shares = np.bincount(factor.fit) / len(factor.fit)
    return float(-(shares * np.log(shares)).sum())


def _leading(shares: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows"]:
    """The largest share of each row over the sum of the row. A row of zeros has chance."""
    sums, columns = shares.sum(1), shares.shape[1]
    best = shares.max(1, initial=0.0)
    chance = np.full(len(sums), 1 / max(1, columns))
    found: np.ndarray = np.divide(best, sums, out=chance, where=sums > 0)
    return found


def _above_chance(shares: np.ndarray, number: int) -> float:
    """The mean, rescaled so that an equal division among `number` is 0. NaN if that is one."""
    if number == 0 or not shares.size:
        return 0.0
    if number == 1:
        return math.nan
    return float((shares.mean() - 1 / number) / (1 - 1 / number))


def _log_loss(columns: Float[np.ndarray, "samples columns"], factor: np.ndarray) -> float:
    """The mean log loss of the published code's model on the rows that it is fitted on."""
    # The imports are slow, and a process that only trains does not need them.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=ITERATIONS)
    with single_threaded(), warnings.catch_warnings():
        # Where a line divides the classes there is no minimum to converge to.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probabilities = model.fit(columns, factor).predict_proba(columns)
    own = probabilities[np.arange(len(factor)), factor]
    return float(-np.log(np.maximum(own, np.finfo(np.float64).eps)).mean())
