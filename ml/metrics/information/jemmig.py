"""JEMMIG: the gap and the joint entropy in one number."""

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
class JEMMIG(InformationMetric):
    r"""JEMMIG: the gap, less what the best latent knows besides its factor.

    .. math:: 1 - \frac{1}{K} \sum_k
        \frac{H(v_k, z_*) - I(v_k; z_*) + I(v_k; z_{(2)})}{H(v_k) + \log B}

    where z_* is the factor's best latent and B the number of bins. log B is the largest entropy of
    a binned code. The score is in [0, 1], and higher is better. It is 1 for codes that are the
    factors and take no more values than there are bins. Unlike `mig`, it is lower for a code that
    knows more than its factor.

    Do and Tran define the quantity that is subtracted from 1, for which lower is better.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Do and Tran, 2020, https://arxiv.org/abs/1908.09961; normalised as in
        Carbonneau et al., 2020, https://arxiv.org/abs/2012.09276
    """

    name: Literal["jemmig"] = "jemmig"
    numbers: ClassVar[Sequence[Number]] = (Number("jemmig"),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        best, second = best_and_second(known.mutual)
        # H(v, z*) = H(v) + H(z*) - I(v; z*)
        joint = known.factors + known.codes[known.mutual.argmax(0)] - best
        scores = 1 - (joint - best + second) / (known.factors + np.log(self.bins))
        return float(scores.mean()), {"per_factor": scores}
