"""The Mutual Information Gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.metric import ConstantFactor, Metric, Number, Rows, Value
from ml.metrics._mutual_information import (
    class_entropies,
    equal_width_bins,
    factor_classes,
    mutual_information,
)
from ml.registry import register


def mig(information: np.ndarray, factor_entropies: np.ndarray) -> np.ndarray:
    r"""By how much each factor's best latent leads its second, as a share of the factor's entropy.

    .. math:: \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}

    `information` is (latents, factors) and the entropies are (factors,), both in the same unit; the
    gaps are (factors,), in [0, 1]. With a single latent there is no second and it counts as 0.
    """
    best = np.sort(information, axis=0)[::-1]
    second = best[1] if len(best) > 1 else np.zeros_like(best[0])
    gaps: np.ndarray = (best[0] - second) / factor_entropies
    return gaps


@register
class MIG(Metric):
    r"""Mutual Information Gap: by how much each factor's best latent leads its second.

    .. math:: \frac{1}{K} \sum_k \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}

    In [0, 1], higher is better. Codes are cut into `bins` bins of equal width between their
    minimum and maximum, in the dtype given, and so are continuous factors; discrete ones keep
    their values. The estimate is the plug-in
    one, which is a little high on few rows.

    Raises:
        ConstantFactor: a factor takes a single value, so that its entropy is zero.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942; bins as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    name: Literal["mig"] = "mig"
    numbers: ClassVar[Sequence[Number]] = (Number("mig"),)
    bins: Annotated[int, Field(ge=2, le=1000)] = 20
    """Bins a code is cut into."""

    def compute(self, rows: Rows) -> dict[str, Value]:
        factors = factor_classes(rows, self.bins)
        entropy = class_entropies(factors)
        for column in np.flatnonzero(entropy == 0):
            name = rows.factor_names[column]
            raise ConstantFactor(name, int(column), rows.factors[0, column].item())
        information = mutual_information(equal_width_bins(rows.codes, self.bins), factors)
        gaps = mig(information, entropy)
        details = {
            "factors": list(rows.factor_names),
            "gaps": gaps.tolist(),
            "factor_entropies": entropy.tolist(),
            "mutual_information": information.tolist(),
        }
        return {"mig": Value(float(gaps.mean()), details)}
