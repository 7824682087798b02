"""Exchanging one factor between two images, through the latent that knows most about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

from ml.codes.rows import ConstantFactor, FactorKind
from ml.metrics.information.mutual_information import classes_of, shares_explained


def swapped(
    a: Float[np.ndarray, "latents"], b: Float[np.ndarray, "latents"], latents: Sequence[int]
) -> Float[np.ndarray, "4 latents"]:
    """Four codes: a, b, a with these latents of b, b with these latents of a."""
    found = np.stack([a, b, a, b])
    chosen = list(latents)
    found[2, chosen], found[3, chosen] = b[chosen], a[chosen]
    return found


def most_telling(
    codes: Float[np.ndarray, "samples latents"],
    factor: Shaped[np.ndarray, "samples"],
    name: str,
    kind: FactorKind = "discrete",
) -> tuple[int, float]:
    r"""The latent that knows most about a factor, and its share of the factor's entropy.

    .. math:: \max_d I(z_d; v) / H(v)

    The share is in [0, 1]. Codes and a continuous factor are cut into 20 bins of equal width. If
    several latents know equally much, it is the first.

    Raises:
        ConstantFactor: the factor takes a single value.
    """
    if (factor == factor[0]).all():
        raise ConstantFactor(name, 0, factor[0].item())
    shares = shares_explained(codes, classes_of(factor[:, None], (kind,)))[:, 0]
    best = int(shares.argmax())
    return best, float(shares[best])
