"""How much codes depend on each other, judged without any factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from ml.codes.scaling import standardised
from ml.codes.uncertainty import Numbers, subsample_errors
from ml.components.registry import register
from ml.metrics.information.mutual_information import BINS, equal_width_bins, information
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value
from ml.reproducibility.linear_algebra import single_threaded

MOST_SUBSAMPLES = 100
FEWEST_SUBSAMPLES = 10
INTERVAL_SECONDS = 3.0
"""Seconds that the subsamples of an interval may take."""
MOST_LATENTS = 512
"""Most codes whose information about each other is counted, as every pair takes a table, and whose
correlations are in the details."""


@register
class Unsupervised(Metric):
    r"""Dependence of codes on each other: total and Wasserstein correlation, mutual information.

    With the covariance S of the codes (divisor N - 1) and its diagonal D, for codes as if Gaussian:

    - `gaussian_total_correlation` = (sum_d log S_dd - log det S) / 2, in nats.
    - `wasserstein_correlation` = 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, the squared Wasserstein
      distance between N(0, S) and N(0, D), in squared units of the codes. It depends on their
      scale, so `wasserstein_correlation_normalised` is divided by tr S. That one is in [0, 2].
    - `code_mutual_information`: the mean over pairs of codes of their mutual information in nats,
      each code cut into `bins` bins of equal width.

    All are 0 for independent codes, also if those know nothing, so neither direction is better by
    itself. Codes that are the factors are independent only if the factors are. The first three see
    only linear dependence. The last is a little above 0 for independent codes of few rows.

    A code with a single value depends on nothing. It is left out of the total correlation, where
    published code gives NaN, and it counts in all means over pairs. Codes that determine each other
    linearly have an infinite total correlation, and so no value. So have fewer rows than codes.

    Raises:
        UnusableRows: there is a single row.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    name: Literal["unsupervised"] = "unsupervised"
    needs_factors: ClassVar[bool] = False
    takes_populations: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(cost="cheap"),)
    numbers: ClassVar[Sequence[Number]] = (
        Number(
            "gaussian_total_correlation", higher_is_better=None, range=(0.0, None), perfect=None
        ),
        Number("wasserstein_correlation", higher_is_better=None, range=(0.0, None), perfect=None),
        Number(
            "wasserstein_correlation_normalised",
            higher_is_better=None,
            range=(0.0, 2.0),
            perfect=None,
        ),
        Number("code_mutual_information", higher_is_better=None, range=(0.0, None), perfect=None),
    )
    bins: Annotated[int, Field(ge=2, le=1000)] = BINS
    """Number of bins of equal width that a code is cut into for the mutual information."""

    def compute(self, rows: Rows) -> dict[str, Value]:
        with single_threaded():
            return self._computed(rows)

    def _computed(self, rows: Rows) -> dict[str, Value]:
        if len(rows) < 2:
            raise UnusableRows("unsupervised needs at least two rows, got one")
        codes = rows.codes.astype(np.float64)
        varies = (codes != codes[:1]).any(0)
        # Squares of squares of large or small codes are beyond what float64 holds.
        unit = float(np.abs(codes).max()) or 1.0
        covariance = np.atleast_2d(np.cov(codes / unit, rowvar=False))
        # A constant column may come out with a variance that is not quite zero.
        covariance[~varies] = covariance[:, ~varies] = 0.0
        rows.continue_or_stop()
        squared, total = wasserstein_correlation(covariance), float(np.trace(covariance))
        dead = "no code varies, so that there is no variance to divide by"
        return {
            "gaussian_total_correlation": _total_correlation(
                standardised(rows.codes[:, varies], len(rows)),
                {"constant_codes": np.flatnonzero(~varies).tolist()},
            ),
            "wasserstein_correlation": Value(squared * unit**2),
            "wasserstein_correlation_normalised": Value(squared / total)
            if total > 0
            else Value(math.nan, missing=dead),
            "code_mutual_information": self._of_pairs(rows),
        }

    def seconds(self, rows: Rows) -> float:
        latents = len(rows.codes[0])
        # Cutting a code takes 100 ns a value, and counting a few ns for each pair. The eigenvalues
        # of two matrices are cubic in the number of codes.
        counted = len(rows) * latents * (1e-7 + 5e-9 * min(latents, MOST_LATENTS))
        return 1e-3 + counted + 1e-9 * latents**3

    def half_widths(self, rows: Rows) -> Numbers:
        several = int(INTERVAL_SECONDS / self.seconds(rows))
        number = max(FEWEST_SUBSAMPLES, min(MOST_SUBSAMPLES, several))
        return subsample_errors(self.values, rows, number)

    def _of_pairs(self, rows: Rows) -> Value:
        latents = rows.codes.shape[1]
        if latents < 2:
            why = "code_mutual_information compares codes and needs at least two, got one"
            return Value(math.nan, missing=why)
        if latents > MOST_LATENTS:
            why = f"code_mutual_information takes at most {MOST_LATENTS} codes, got {latents}"
            return Value(math.nan, missing=why)
        rows.continue_or_stop()
        binned = equal_width_bins(rows.codes, self.bins)
        known = information(binned, binned)
        mutual = known.mutual.copy()
        np.fill_diagonal(mutual, 0.0)
        details = {
            "mutual_information": mutual.tolist(),
            "code_entropies": known.codes.tolist(),
        }
        return Value(float(mutual.sum() / (latents * (latents - 1))), details)


def wasserstein_correlation(covariance: Float[np.ndarray, "latents latents"]) -> float:
    """The squared 2-Wasserstein distance of a centred Gaussian from that of independent latents."""
    deviations = np.sqrt(np.diag(covariance))
    # Rounding may make some eigenvalues negative.
    eigenvalues = np.linalg.eigvalsh(deviations[:, None] * covariance * deviations)
    roots = np.sqrt(eigenvalues.clip(min=0.0))
    return float(max(0.0, 2 * np.trace(covariance) - 2 * roots.sum()))


def _total_correlation(
    scaled: Float[np.ndarray, "samples latents"], details: dict[str, Any]
) -> Value:
    """The total correlation of a Gaussian, from the eigenvalues of its correlation matrix."""
    samples, latents = scaled.shape
    if latents < 2:
        return Value(0.0, details)
    if samples <= latents:
        why = f"{samples} rows are too few for the total correlation of {latents} codes"
        return Value(math.nan, details, why)
    correlation = scaled.T @ scaled / samples
    if latents <= MOST_LATENTS:
        details["correlation"] = correlation.tolist()
    eigenvalues = np.linalg.eigvalsh(correlation)
    # The eigenvalues sum to the number of codes. Rounding leaves about this of those that are zero.
    if eigenvalues[0] <= latents**2 * np.finfo(np.float64).eps:
        why = "codes determine each other linearly, so that their total correlation is infinite"
        return Value(math.nan, details, why)
    return Value(max(0.0, float(-0.5 * np.log(eigenvalues).sum())), details)
