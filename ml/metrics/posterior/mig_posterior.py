"""The Mutual Information Gap of posteriors, as its authors estimate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from ml.components.registry import register
from ml.metrics.information.mig import gaps
from ml.metrics.posterior.posterior_information import PosteriorInformation, PosteriorKnowledge
from ml.metrics.protocol import Number


@register
class PosteriorMIG(PosteriorInformation):
    r"""Mutual Information Gap of the posterior, whose noise counts: the authors' own estimator.

    .. math:: \frac{1}{K} \sum_k \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)}, \qquad
        I(z_d; v_k) = E \log \frac{q(z_d | v_k)}{q(z_d)}

    It is in [0, 1], and higher is better. `mig` judges posterior means, cut into bins. Here codes
    are samples of the posteriors, and q(z_d) = 1/N sum_n q(z_d|x_n) is known in closed form, as is
    q(z_d|v_k=c) over the rows of a value. So nothing is cut. A latent with wide posteriors knows
    little of a factor, however exactly its means follow it. The score of a perfect code is near 1
    if posteriors are narrow.

    There is one sample of each row: `posterior_sample`, or one drawn by the seed. The expectation
    is over `samples` of them at most, drawn without replacement. Information is in nats and cut at
    0. The details give it, and whether posteriors that are nearly the same were merged (`density:
    merged`, for more than 20,000 rows) or not (`exact`).

    On a whole grid and up to `samples` rows, this is the number of the authors' code. It differs
    beyond: theirs draws 10,000 samples for H(z_d) and again for each value's entropy. Ours takes
    both densities at the same samples, which has the same expectation and a smaller error. On
    other rows theirs weighs values equally and divides by the logarithm of their number. Ours
    weighs them by their rows and divides by the factor's entropy on these rows, which is the same
    on a grid. Their dSprites leaves out the shape. Ours judges every factor.

    Few rows of a value overestimate its information, as the null shows.

    Mistakes elsewhere:
        YannDubs/disentangling-vae reshapes its samples where they must be transposed, and so mixes
        latents.

    Raises:
        ConstantFactor: a factor takes a single value, so that its entropy is zero.
        UnusableRows: there are no posteriors.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942
    """

    name: Literal["mig_posterior"] = "mig_posterior"
    numbers: ClassVar[Sequence[Number]] = (Number("mig_posterior"),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: PosteriorKnowledge) -> tuple[float, Mapping[str, np.ndarray]]:
        found = gaps(known.mutual, known.factors)
        return float(found.mean()), {"gaps": found}
