"""The Mutual Information Gap in nats, as in RMIG."""

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
class RMIG(InformationMetric):
    r"""RMIG: by how many nats each factor's best latent leads its second.

    .. math:: \frac{1}{K} \sum_k I(z_{(1)}; v_k) - I(z_{(2)}; v_k)

    It is in nats, from 0 to the factors' mean entropy, and higher is better. `mig` divides each
    factor's lead by H(v), so here a factor with more values weighs more than there.

    We differ from Do and Tran, who integrate q(z|x) over 200 bins on [-4, 4]. Here codes are given
    and not their posteriors, so they are cut into `bins` bins between their minimum and maximum.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Do and Tran, 2020, https://arxiv.org/abs/1908.09961
    """

    name: Literal["rmig"] = "rmig"
    numbers: ClassVar[Sequence[Number]] = (Number("rmig", range=(0.0, None), perfect=None),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        best, second = best_and_second(known.mutual)
        return float((best - second).mean()), {"gaps": best - second}
