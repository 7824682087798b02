"""The FactorVAE score, Z-min variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.metrics.intervention.voting import MajorityVote
from ml.metrics.protocol import Number


@register
class FactorVAEScore(MajorityVote):
    r"""FactorVAE score, or Z-min variance: whether the code that moves least names the factor.

    A vote draws a factor k, a row, and `batch` rows with that row's value of k. It goes to the code

    .. math:: \arg\min_d \mathrm{Var}_{\mathrm{batch}}(z_d) / \mathrm{Var}(z_d)

    with the divisor n - 1 and the variance of all rows below. A classifier gives each code the
    factor with most of its training votes. `factor_vae_score` is its accuracy on test votes,
    `factor_vae_score_train` on the training votes. They are in [0, 1], higher is better, and
    guessing gives 1 / K for K factors. It is 1 for a perfect code. It is also 1 if every factor has
    a code of its own, whatever the others hold: duplicates, noise and further mixtures of factors
    cost nothing as long as they are never the stillest.

    Codes with a deviation below `prune_below` take no part. The threshold is on the codes' own
    scale. If none is left the score is 0, and the details say so. disentanglement_lib prints the
    number of all codes as that of the active ones; the details' `active` are those that take part.

    Rows stand for the simulator: a factor's values come as often as in the rows, and a batch is
    drawn with replacement from the rows that have one. Values of a single row are left out. The
    defaults are the protocol's. Carbonneau et al. take a `batch` of 200, 800 and 800 votes, and
    `rescaled`. With `batch` null each value of a factor votes once, by all of its rows. That is the
    limit of large batches, without draws. Codes that know nothing score more than 1 / K then, as
    the few values of a factor may happen to agree; the null shows how much.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: no two rows have the same value of a factor.

    References:
        Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983; settings as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276
    """

    name: Literal["factor_vae_score"] = "factor_vae_score"
    numbers: ClassVar[Sequence[Number]] = (
        Number("factor_vae_score_train"),
        Number("factor_vae_score"),
    )
    lowest: ClassVar[bool] = True
    shared: ClassVar[str] = "a value of factor {}"
