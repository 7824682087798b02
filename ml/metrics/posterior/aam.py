"""The Axis Alignment Metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from ml.components.registry import register
from ml.metrics.posterior.posterior_information import PosteriorInformation, PosteriorKnowledge
from ml.metrics.protocol import Number


def alignments(
    mutual: Float[np.ndarray, "latents factors"],
) -> Float[np.ndarray, "factors"]:
    """The lead of each factor's best latent over all others together, as a share of its own.

    It is in [0, 1], and 0 for a factor that no latent knows.
    """
    best = mutual.max(0)
    lead = (2 * best - mutual.sum(0)).clip(min=0.0)
    found: np.ndarray = lead / np.where(best > 0, best, 1.0)
    return found


@register
class AAM(PosteriorInformation):
    r"""Axis Alignment Metric: by how much a factor's best latent leads all the others together.

    .. math:: \frac{1}{K} \sum_k \frac{\max(0, I(z_{(1)}; v_k) - \sum_{d > 1} I(z_{(d)}; v_k))}
        {I(z_{(1)}; v_k)}

    It is in [0, 1], and higher is better. The information is that of `mig_posterior`. A factor
    counts as much if its best latent knows little of it, since that latent's own information is the
    divisor. So read it beside `mig_posterior`, and its null. It is 0 for a factor that no latent
    knows. Every latent adds its noise to the sum, so the score is low with many latents and few
    rows.

    Mistakes elsewhere:
        YannDubs/disentangling-vae, where the metric is from, takes it of an estimate that mixes
        latents (see `mig_posterior`).

    Raises:
        ConstantFactor: a factor takes a single value.
        UnusableRows: there are no posteriors.

    References:
        Dubois et al., 2019, https://github.com/YannDubs/disentangling-vae
    """

    name: Literal["aam"] = "aam"
    numbers: ClassVar[Sequence[Number]] = (Number("aam"),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: PosteriorKnowledge) -> tuple[float, Mapping[str, np.ndarray]]:
        found = alignments(known.mutual)
        return float(found.mean()), {"alignments": found}
