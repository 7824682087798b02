"""Modularity: whether a latent follows one factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from ml.components.registry import register
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number, Rows, UnusableRows


def modularity(mutual: Float[np.ndarray, "latents factors"]) -> Float[np.ndarray, "latents"]:
    r"""How far each latent is from sharing itself out evenly among factors.

    .. math:: 1 - \frac{\sum_k I_{dk}^2 - \max_k I_{dk}^2}{(K - 1) \max_k I_{dk}^2}

    There must be two factors at least. A latent that knows nothing of any factor scores 0.
    """
    squares = mutual**2
    best = squares.max(1)
    others = squares.sum(1) - best
    shares = np.divide(others, best * (mutual.shape[1] - 1), out=np.ones_like(best), where=best > 0)
    found: np.ndarray = 1 - shares
    return found


@register
class Modularity(InformationMetric):
    r"""Modularity: whether each latent follows at most one factor.

    .. math:: \frac{1}{D} \sum_d
        1 - \frac{\sum_k I_{dk}^2 - \max_k I_{dk}^2}{(K - 1) \max_k I_{dk}^2}

    It is in [0, 1], and higher is better. A dead latent scores 0 and stays in the mean, as in
    disentanglement_lib. The code of Carbonneau et al. gives NaN for the whole score. Modularity is
    scale-free in each latent, so noise does not score 0 but 0.16 and more. Read it beside its null.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnusableRows: there is a single factor, so no latent could follow a second.

    References:
        Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312
    """

    name: Literal["modularity"] = "modularity"
    numbers: ClassVar[Sequence[Number]] = (Number("modularity"),)

    def check(self, rows: Rows) -> None:
        if rows.factors.shape[1] < 2:
            raise UnusableRows("modularity compares factors and needs at least two, got one")

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        found = modularity(known.mutual)
        return float(found.mean()), {"per_code": found}
