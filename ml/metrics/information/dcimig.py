"""DCIMIG: gaps of codes, credited to factors."""

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
class DCIMIG(InformationMetric):
    r"""DCIMIG: how much of the factors' entropy is held by latents of their own.

    Each latent's gap, I(z; v_(1)) - I(z; v_(2)), is credited to its best factor. Of the gaps
    credited to a factor, the largest counts:

    .. math:: \frac{\sum_k \max_{d: v_{(1)}(d) = k} \mathrm{gap}_d}{\sum_k H(v_k)}

    It is in [0, 1], and higher is better. It is 1 for codes that are independent factors of at most
    `bins` values. The first version of the paper called it 3CharM. A fork of disentanglement_lib
    (jboilard1994) takes the mean over factors of gap / H(v) instead, which is the same if all
    entropies are equal.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Sepliarskaia et al., 2019, https://arxiv.org/abs/1910.05587; formula as in
        Carbonneau et al., 2020, https://arxiv.org/abs/2012.09276
    """

    name: Literal["dcimig"] = "dcimig"
    numbers: ClassVar[Sequence[Number]] = (Number("dcimig"),)

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        best, second = best_and_second(known.mutual.T)
        credited = np.zeros(len(known.factors))
        np.maximum.at(credited, known.mutual.argmax(1), best - second)
        value = float(credited.sum() / known.factors.sum())
        return value, {"gaps": best - second, "credited": credited}
