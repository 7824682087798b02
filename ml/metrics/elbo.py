"""How well a model explains images: the evidence lower bound and its two terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from ml.codes.uncertainty import Numbers, subsample_errors
from ml.components.registry import register
from ml.metrics.protocol import Metric, Number, Rows, UnusableRows, Value
from ml.objectives.likelihood import likelihood_of

SUBSAMPLES = 200
"""Subsamples that an interval is made of."""


@register
class Elbo(Metric):
    r"""Evidence lower bound, reconstruction and KL, in nats a sample, on the test rows.

    .. math:: \mathrm{ELBO} = -(\text{reconstruction} + \mathrm{KL})

    The reconstruction is -log p(x|z) summed over pixels, with one sample of z; means over the rows.
    It is at least 0 with a Bernoulli likelihood.
    A Bernoulli likelihood is a probability and a Gaussian one a density, whose deviation scales it:
    ELBO and reconstruction compare where likelihood and `pixel_deviation` are equal. Neither less
    KL nor more is better by itself: a collapsed model has none.
    The weights of the training objective play no part. Test rows are held from the scores that
    fit predictors; where a data set is trained on as a whole, as in the protocol
    for dSprites, their images have been trained on. An encoder without noise (`ae`, `wae_mmd`) has
    a reconstruction alone.

    References:
        Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114
    """

    name: Literal["elbo"] = "elbo"
    needs: ClassVar[Literal["rows", "posterior"]] = "posterior"
    uses: ClassVar[Literal["all", "split", "test"]] = "test"
    needs_factors: ClassVar[bool] = False
    numbers: ClassVar[Sequence[Number]] = (
        Number("elbo", range=(None, None), perfect=None, depends_on=likelihood_of),
        # A density may be above 1: with a Gaussian likelihood its -log may be below 0.
        Number(
            "reconstruction",
            higher_is_better=False,
            range=(None, None),
            perfect=None,
            depends_on=likelihood_of,
        ),
        # More of it is paid for what codes keep of the image; without any they keep nothing.
        Number("kl", higher_is_better=None, range=(0.0, None), perfect=None),
    )

    def half_widths(self, rows: Rows) -> Numbers:
        return subsample_errors(self.values, rows, SUBSAMPLES)

    def compute(self, rows: Rows) -> dict[str, Value]:
        if rows.reconstruction is None or rows.kl is None:
            raise UnusableRows(
                "elbo needs a model's posterior and reconstructions, not codes alone"
            )
        reconstruction = float(rows.reconstruction.mean())
        if np.isnan(rows.kl).all():
            none = Value(math.nan, missing="the encoder has no posterior, and so no KL to a prior")
            return {"elbo": none, "reconstruction": Value(reconstruction), "kl": none}
        kl_per_latent = rows.kl.mean(0)
        kl = float(kl_per_latent.sum())
        return {
            "elbo": Value(-(reconstruction + kl)),
            "reconstruction": Value(reconstruction),
            "kl": Value(kl, {"kl_per_latent": kl_per_latent.tolist()}),
        }
