"""MED: DCI's disentanglement from mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ml.components.registry import register
from ml.metrics.dci import disentanglement, disentanglement_per_code
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number, Rows, UnusableRows


@register
class MED(InformationMetric):
    r"""MED: disentanglement as in DCI, with shares of mutual information as importances.

    .. math:: R_{dk} = \frac{I(z_d; v_k)}{\sum_d I(z_d; v_k)}, \qquad
        \mathrm{MED} = \sum_d \frac{\sum_k R_{dk}}{\sum_{dk} R_{dk}}
        \left(1 - H_K\!\left(\frac{R_{d\cdot}}{\sum_k R_{dk}}\right)\right)

    with the entropy to base K. In [0, 1], higher is better. No predictor is fitted, so it takes
    milliseconds where DCI takes minutes.

    `top_k` is Top-k MED, for representations with very many latents: each latent belongs to the
    factor that it has the largest share of, the k most disentangled latents of each factor are
    kept, and the score is their mean, weighted by their shares of what all latents know. A factor
    to which no latent belongs has no part in it: read it beside a score of all latents.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnusableRows: there is a single factor.

    References:
        Cao et al., 2022, https://arxiv.org/abs/2206.04756
    """

    version: ClassVar[int] = 2
    name: Literal["med"] = "med"
    # Chance alone gives every latent a share, and on few rows a perfect code is far from 1.
    numbers: ClassVar[Sequence[Number]] = (Number("med", perfect=None),)
    top_k: Annotated[int, Field(ge=1)] | None = None
    """The most disentangled latents kept of each factor; null keeps all."""

    def check(self, rows: Rows) -> None:
        if rows.factors.shape[1] < 2:
            raise UnusableRows("med compares factors and needs at least two, got one")

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        totals = known.mutual.sum(0)
        # Shares of what all latents know, also where some of them are left out.
        shares = np.divide(known.mutual, totals, out=np.zeros_like(known.mutual), where=totals > 0)
        if self.top_k is not None:
            shares = shares[most_disentangled(shares, self.top_k)]
        masses = shares.sum(1)
        total = masses.sum()
        return disentanglement(shares), {
            "per_code": disentanglement_per_code(shares),
            "weights": masses / total if total > 0 else masses,
        }


def most_disentangled(
    shares: Float[np.ndarray, "latents factors"], k: int
) -> Int[np.ndarray, "kept"]:
    """Indices of the k most disentangled latents of each factor, in rising order.

    A latent is of the factor that it has the largest share of; of equally disentangled ones the
    first are kept, where the published code keeps whichever comes first of a sort that keeps no
    order.
    """
    best = np.argsort(-disentanglement_per_code(shares), kind="stable")
    factor = shares.argmax(1)[best]
    kept = [best[factor == number][:k] for number in range(shares.shape[1])]
    found: np.ndarray = np.sort(np.concatenate(kept))
    return found
