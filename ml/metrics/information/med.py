"""MED: DCI's disentanglement from mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ml.components.registry import register
from ml.metrics.disentanglement import disentanglement, disentanglement_per_code
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number, Rows, UnusableRows


@register
class MED(InformationMetric):
    r"""MED: disentanglement as in DCI, with shares of mutual information as importances.

    .. math:: R_{dk} = \frac{I(z_d; v_k)}{\sum_d I(z_d; v_k)}, \qquad
        \mathrm{MED} = \sum_d \frac{\sum_k R_{dk}}{\sum_{dk} R_{dk}}
        \left(1 - H_K\!\left(\frac{R_{d\cdot}}{\sum_k R_{dk}}\right)\right)

    with the entropy to base K. It is in [0, 1], and higher is better. No predictor is fitted, so it
    takes milliseconds where DCI takes minutes.

    `top_k` gives Top-k MED, for representations with very many latents. Each latent belongs to the
    factor that it has the largest share of, and the k most disentangled latents of each factor are
    kept. The score is their mean, weighted by their shares of the information of all latents. A
    factor to which no latent belongs plays no part, so read it beside a score of all latents.

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
    """Number of the most disentangled latents to keep for each factor. Null keeps all."""

    def check(self, rows: Rows) -> None:
        if rows.factors.shape[1] < 2:
            raise UnusableRows("med compares factors and needs at least two, got one")

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        totals = known.mutual.sum(0)
        # Shares are of the information of all latents, even if some latents are left out.
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

    A latent belongs to the factor that it has the largest share of. Of equally disentangled latents
    the first are kept, where the published code sorts without keeping their order.
    """
    best = np.argsort(-disentanglement_per_code(shares), kind="stable")
    factor = shares.argmax(1)[best]
    kept = [best[factor == number][:k] for number in range(shares.shape[1])]
    found: np.ndarray = np.sort(np.concatenate(kept))
    return found
