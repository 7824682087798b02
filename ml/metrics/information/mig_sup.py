"""MIG-sup: the Mutual Information Gap the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from ml.components.registry import register
from ml.metrics.information.gaps import best_and_second
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number


@register
class MIGSup(InformationMetric):
    r"""MIG-sup: by how much each latent's best factor leads its second.

    .. math:: \frac{1}{D} \sum_d \hat I(z_d; v_{(1)}) - \hat I(z_d; v_{(2)})

    where I is divided by the factor's entropy H(v) before the two are compared
    (`normaliser: factor`, as Li et al. do), or by the binned code's H(z) (`normaliser: code`, as
    the code of Carbonneau et al. does). It is in [0, 1], and higher is better. It is 1 for codes
    that are independent factors of at most `bins` values. `mig` asks whether a factor is kept in
    one latent, and MIG-sup asks whether a latent keeps one factor.

    A dead latent scores 0 and stays in the mean, as in `modularity`. The published code gives NaN.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Li et al., 2020, https://arxiv.org/abs/2002.10549
    """

    name: Literal["mig_sup"] = "mig_sup"
    numbers: ClassVar[Sequence[Number]] = (Number("mig_sup"),)
    normaliser: Literal["factor", "code"] = "factor"
    """The entropy that mutual information is divided by: the factor's or the code's."""

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        if self.normaliser == "factor":
            shares = known.mutual / known.factors
        else:
            entropies = known.codes[:, None]
            shares = np.divide(
                known.mutual, entropies, out=np.zeros_like(known.mutual), where=entropies > 0
            )
        best, second = best_and_second(shares.T)
        return float((best - second).mean()), {"gaps": best - second}
