"""MED: DCI's disentanglement from mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.metric import Number, Rows, UnusableRows
from ml.metrics._information_metric import InformationMetric
from ml.metrics._mutual_information import Information
from ml.registry import register


@register
class MED(InformationMetric):
    r"""MED: disentanglement as in DCI, with shares of mutual information as importances.

    .. math:: R_{dk} = \frac{I(z_d; v_k)}{\sum_d I(z_d; v_k)}, \qquad
        \mathrm{MED} = \sum_d \frac{\sum_k R_{dk}}{\sum_{dk} R_{dk}}
        \left(1 - H_K\!\left(\frac{R_{d\cdot}}{\sum_k R_{dk}}\right)\right)

    with the entropy to base K. In [0, 1], higher is better. No predictor is fitted, so it takes
    milliseconds where DCI takes minutes. `top_k` keeps, for each factor, the k latents that know
    most of it (all that any factor keeps are kept), for representations with very many.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnusableRows: there is a single factor.

    References:
        Cao et al., 2022, https://arxiv.org/abs/2206.04756
    """

    name: Literal["med"] = "med"
    # Chance alone gives every latent a share, and on few rows a perfect code is far from 1.
    numbers: ClassVar[Sequence[Number]] = (Number("med", perfect=None),)
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Latents kept for each factor; null keeps all."""

    def check(self, rows: Rows) -> None:
        if rows.factors.shape[1] < 2:
            raise UnusableRows("med compares factors and needs at least two, got one")

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        mutual = known.mutual
        if self.top_k is not None:
            kept = np.argsort(-mutual, axis=0, kind="stable")[: self.top_k]
            mutual = mutual[np.unique(kept)]
        totals = mutual.sum(0)
        shares = np.divide(mutual, totals, out=np.zeros_like(mutual), where=totals > 0)
        masses = shares.sum(1)
        if not masses.any():
            return 0.0, {"per_code": masses, "weights": masses}
        per_code = _focus(shares, masses)
        weights = masses / masses.sum()
        return float(weights @ per_code), {"per_code": per_code, "weights": weights}


def _focus(shares: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """1 - H of each latent's shares among factors, to the base of their number; 0 where none."""
    p = np.divide(shares, masses[:, None], out=np.zeros_like(shares), where=masses[:, None] > 0)
    entropies = -(p * np.log(np.where(p > 0, p, 1.0))).sum(1) / np.log(shares.shape[1])
    return np.where(masses > 0, 1 - entropies, 0.0)
