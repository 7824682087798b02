"""The Mutual Information Gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from ml.components.registry import register
from ml.metrics.information.gaps import best_and_second
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number


def gaps(
    mutual: Float[np.ndarray, "latents factors"], factor_entropies: Float[np.ndarray, "factors"]
) -> Float[np.ndarray, "factors"]:
    r"""The lead of each factor's best latent over its second, as a share of the factor's entropy.

    .. math:: \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}

    Information and entropies are in the same unit, and the gaps are in [0, 1]. With a single latent
    there is no second latent, and its information counts as 0.
    """
    best, second = best_and_second(mutual)
    found: np.ndarray = (best - second) / factor_entropies
    return found


@register
class MIG(InformationMetric):
    r"""Mutual Information Gap: by how much each factor's best latent leads its second.

    .. math:: \frac{1}{K} \sum_k \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}

    It is in [0, 1], and higher is better. It is 1 for codes that are independent factors of at most
    `bins` values. Codes are cut into `bins` bins of equal width between their minimum and maximum,
    in the dtype given. So are continuous factors, while discrete factors keep their values. The
    estimate is the plug-in one, which is a little high on few rows.

    Some published code divides by the entropy of the code, H(z), and not by that of the factor. A
    code that keeps two levels of a factor then scores near 1. `heddle audit` shows both.

    Raises:
        ConstantFactor: a factor takes a single value, so that its entropy is zero.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942; bins as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    name: Literal["mig"] = "mig"
    numbers: ClassVar[Sequence[Number]] = (Number("mig"),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        found = gaps(known.mutual, known.factors)
        return float(found.mean()), {"gaps": found}
