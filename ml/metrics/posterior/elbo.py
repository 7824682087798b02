"""How well a model explains images: the evidence lower bound and its two terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from ml.codes.uncertainty import Numbers, subsample_errors
from ml.components.registry import register
from ml.metrics.protocol import AuditSetting, Metric, Number, Rows, UnusableRows, Value

SUBSAMPLES = 200
"""Number of subsamples for an interval."""


def _likelihood_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    from ml.objectives.likelihood import likelihood_of  # It needs torch.

    return likelihood_of(spec)


@register
class Elbo(Metric):
    r"""Evidence lower bound, reconstruction and KL, in nats a sample, on the test rows.

    .. math:: \mathrm{ELBO} = -(\text{reconstruction} + \mathrm{KL})

    The reconstruction is -log p(x|z) summed over pixels, with one sample of z. The numbers are
    means over the rows. With a Bernoulli likelihood the reconstruction is at least 0.
    A Bernoulli likelihood is a probability. A Gaussian one is a density, which the deviation of a
    pixel scales. So ELBO and reconstruction can be compared only if likelihood and
    `pixel_deviation` are equal. For the KL neither less nor more is better by itself, as it is zero
    in a collapsed model.
    The weights of the training objective play no part. Test rows are the rows that no predictor of
    other scores is fitted on. The model may have been trained on their images, if it is trained on
    the whole data set as in the protocol for dSprites. An encoder without noise (`ae`, `wae_mmd`)
    has a reconstruction alone.

    References:
        Kingma and Welling, 2014, https://arxiv.org/abs/1312.6114
    """

    name: Literal["elbo"] = "elbo"
    needs: ClassVar[Literal["rows", "posterior"]] = "posterior"
    uses: ClassVar[Literal["all", "split", "test"]] = "test"
    needs_factors: ClassVar[bool] = False
    # An audit has no reconstructions.
    audited: ClassVar[Sequence[AuditSetting]] = ()
    numbers: ClassVar[Sequence[Number]] = (
        Number("elbo", range=(None, None), perfect=None, depends_on=_likelihood_of),
        # A density may be above 1, so with a Gaussian likelihood its -log may be below 0.
        Number(
            "reconstruction",
            higher_is_better=False,
            range=(None, None),
            perfect=None,
            depends_on=_likelihood_of,
        ),
        # KL is the price of what codes keep of the image. With a KL of zero they keep nothing.
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
