"""Z-max variance, the score of the Relevance Factor VAE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int

from ml.components.registry import register
from ml.metrics.intervention.groups import labels_of_the_others
from ml.metrics.intervention.voting import MajorityVote
from ml.metrics.protocol import Number, Rows


@register
class ZMaxVariance(MajorityVote):
    r"""Z-max variance: whether the code that moves most names the one factor that varies.

    A vote draws a factor k, a row, and `batch` rows that agree with that row on all factors but k.
    It goes to the code

    .. math:: \arg\max_d \mathrm{Var}_{\mathrm{batch}}(z_d) / \mathrm{Var}(z_d)

    The rest is as in `factor_vae_score`: `z_max_variance` is the accuracy of the majority's factor
    on test votes, `z_max_variance_train` on the training votes. They are in [0, 1], higher is
    better, and guessing gives 1 / K for K factors. It is 1 for a perfect code. A code of two
    factors costs more than in `factor_vae_score`, as it moves with either.

    Only combinations of the other factors' values that two rows have take part. A sample of a large
    grid has few of them, and some of two rows, whose variances say little: cut factors into a few
    bins (Carbonneau et al. take 3 by default, and 10) or score the whole grid. A factor of few
    values has small groups even there.

    Kim et al. take batches and votes as in FactorVAE. Ours are those of the protocol for
    `factor_vae_score`; Carbonneau et al. take a batch of 200, 800 and 800 votes and `rescaled`.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: no two rows agree on all factors but one.

    References:
        Kim et al., 2019, https://arxiv.org/abs/1902.01568; settings as in
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    name: Literal["z_max_variance"] = "z_max_variance"
    numbers: ClassVar[Sequence[Number]] = (
        Number("z_max_variance_train"),
        Number("z_max_variance"),
    )
    lowest: ClassVar[bool] = False
    shared: ClassVar[str] = "the values of all factors but {}"

    def labels(self, rows: Rows) -> Int[np.ndarray, "factors samples"]:
        return labels_of_the_others(super().labels(rows))
