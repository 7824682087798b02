"""The mean correlation coefficient of independent component analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Shaped

from ml.codes.repeated_rows import blocks, first_rows
from ml.codes.scaling import unit_columns
from ml.codes.uncertainty import Draws, Numbers, null_draws, permutations, subsample_errors
from ml.components.registry import register
from ml.metrics.identifiability.assignment import best_assignment
from ml.metrics.predictors.classes import factor_values
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, Value
from ml.reproducibility.linear_algebra import single_threaded

MOST_PERMUTATIONS = 1000
FEWEST_PERMUTATIONS = 30
MOST_PRODUCTS = 40_000_000_000
"""Most products of a code and a factor over all permutations. They take a minute."""
SUBSAMPLES = 200


@register
class MCC(Metric):
    r"""Mean correlation coefficient: how far each factor is one latent, up to scale and sign.

    .. math:: \max_\pi \frac{1}{K} \sum_k |\mathrm{corr}(z_{\pi(k)}, v_k)|

    over all one-to-one assignments of latents to factors. It is in [0, 1], and higher is better.
    With more latents than factors the K best take part. With fewer, the factors that are left
    without a latent count 0, so that D latents score D / K at most. A dead latent correlates 0.
    `correlation` is

    - `pearson`: 1 if the latents are the factors up to scale, sign and offset. This is what theory
      calls weak or linear identifiability by components.
    - `spearman`: Pearson's of the ranks, where equal values share their mean rank. It is 1 for any
      monotone function of the factors.

    The values of discrete factors are taken as numbers in their order. For classes without an
    order, as dSprites' shapes, the score depends on how they are numbered. Nor is a circular factor
    such as an angle ever a line in one latent. Drop such factors, or read the details.

    The assignment is chosen and judged on the same rows, as in the literature. So noise scores more
    than 0, and the more so the more latents there are to choose from. The null shows how much.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Hyvärinen and Morioka, 2016, https://arxiv.org/abs/1605.06336; ranks as in
        Klindt et al., 2021, https://arxiv.org/abs/2007.10930
    """

    name: Literal["mcc"] = "mcc"
    numbers: ClassVar[Sequence[Number]] = (Number("mcc"),)
    takes_populations: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (
        AuditSetting({"correlation": "pearson"}, "cheap"),
        AuditSetting({"correlation": "spearman"}, "cheap"),
    )
    correlation: Literal["pearson", "spearman"] = "pearson"
    """The correlation of the values themselves, or of their ranks."""

    def compute(self, rows: Rows) -> dict[str, Value]:
        with single_threaded():
            correlations = self._correlations(rows)
        latents, matched = best_assignment(np.abs(correlations))
        details = {
            "factors": list(rows.factor_names),
            "latent_of_factor": latents.tolist(),
            "per_factor": matched.tolist(),
            "correlations": correlations.tolist(),
        }
        return {"mcc": Value(float(matched.mean()), details)}

    def null(self, rows: Rows) -> Draws:
        products = rows.codes.size * len(rows.factor_names)
        number = max(FEWEST_PERMUTATIONS, min(MOST_PERMUTATIONS, MOST_PRODUCTS // products))
        if len(first_rows(blocks(rows))) < len(rows):
            # Repeated rows move together, which changes the ranks of factors and their deviations.
            return null_draws(self.values, rows, number)
        codes, factors = self._columns(rows)
        with single_threaded():
            found = [
                _matched(codes.T @ factors.take(index, 0)) for index in permutations(rows, number)
            ]
        return {"mcc": np.array(found)}

    def half_widths(self, rows: Rows) -> Numbers:
        with single_threaded():
            return subsample_errors(self._of_subsample, rows, SUBSAMPLES)

    def _of_subsample(self, rows: Rows) -> Numbers:
        codes, factors = self._scaled(rows.codes), self._scaled(rows.factors)
        # A factor may be constant on a subsample, and then correlates 0.
        return {"mcc": _matched(codes.T @ factors)}

    def _correlations(self, rows: Rows) -> Float[np.ndarray, "latents factors"]:
        codes, factors = self._columns(rows)
        found: np.ndarray = (codes.T @ factors).clip(-1.0, 1.0)
        return found

    def _columns(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Codes and factors as columns whose products are correlations."""
        return self._scaled(rows.codes), self._scaled(factor_values(rows, len(rows)))

    def _scaled(
        self, columns: Shaped[np.ndarray, "samples columns"]
    ) -> Float[np.ndarray, "samples columns"]:
        if self.correlation == "spearman":
            # The import takes a second, and a process that only trains does not need it.
            from scipy.stats import rankdata

            columns = rankdata(columns, axis=0)
        return unit_columns(columns)


def _matched(correlations: Float[np.ndarray, "latents factors"]) -> float:
    return float(best_assignment(np.abs(correlations))[1].mean().clip(max=1.0))
