"""Traversals as numbers: where they start, and which values a latent takes in them.

Codes are (samples, latents). The values of a traversal are (latents, frames), rising along a row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Span = Literal["quantiles", "deviations", "range", "units"]

EXTENTS: dict[Span, float] = {"quantiles": 0.01, "deviations": 2.0, "units": 3.0}
"""The default extent of each span that has one."""


def spanned(
    codes: Float[np.ndarray, "samples latents"],
    frames: int,
    *,
    span: Span = "quantiles",
    extent: float | None = None,
) -> Float[np.ndarray, "latents frames"]:
    """Values that each latent takes in a traversal. `span` says between which ends they lie:

    - `quantiles`: quantiles of the latent's own codes, from the share `extent` (0.01 by default) to
      1 - `extent`. Equally many images lie between any two neighbours.
    - `deviations`: the codes' mean, less and plus `extent` (2) of their standard deviations.
    - `range`: the codes' least and their greatest value.
    - `units`: -`extent` and `extent` (3). Under a standard normal prior these are counted in the
      prior's deviations.
    """
    size = EXTENTS.get(span, 0.0) if extent is None else extent
    if span == "quantiles":
        quantiles: np.ndarray = np.quantile(codes, np.linspace(size, 1 - size, frames), axis=0)
        return quantiles.T
    if span == "units":
        return evenly(-size, size, latents=codes.shape[1], frames=frames)
    if span == "range":
        low, high = codes.min(axis=0), codes.max(axis=0)
    else:
        mean, reach = codes.mean(axis=0), size * codes.std(axis=0)
        low, high = mean - reach, mean + reach
    return np.linspace(low, high, frames).T


def evenly(
    low: float, high: float, *, latents: int, frames: int
) -> Float[np.ndarray, "latents frames"]:
    """Evenly spaced values, the same for each latent."""
    return np.tile(np.linspace(low, high, frames), (latents, 1))


def most_typical(codes: Float[np.ndarray, "samples latents"]) -> int:
    """The row whose code is nearest to the mean, with each latent in units of its deviation."""
    deviation = codes.std(axis=0)
    scaled = (codes - codes.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return int(np.argmin((scaled**2).sum(axis=1)))


def led(
    base: Float[np.ndarray, "latents"],
    latents: Int[np.ndarray, "rows"],
    values: Float[np.ndarray, "latents frames"],
) -> Float[np.ndarray, "rows frames latents"]:
    """Codes in which one latent takes its values while the others stay at the base.

    Each row is the traversal of one of `latents`. `values` has the values of all latents.
    """
    codes = np.tile(base, (len(latents), values.shape[1], 1))
    codes[np.arange(len(latents)), :, latents] = values[latents]
    return codes


def plane(
    base: Float[np.ndarray, "latents"], x: int, y: int, values: Float[np.ndarray, "latents frames"]
) -> Float[np.ndarray, "frames frames latents"]:
    """Codes in which two latents move: `x` rises along the columns, `y` falls along the rows."""
    frames = values.shape[1]
    codes = np.tile(base, (frames, frames, 1))
    codes[:, :, x] = values[x]
    codes[:, :, y] = values[y, ::-1, None]
    return codes


def by_factor(
    shares: Float[np.ndarray, "latents factors"], otherwise: Int[np.ndarray, "latents"]
) -> Int[np.ndarray, "latents"]:
    """Each factor's best latent in the factors' order, then the rest in the order `otherwise`.

    Args:
        shares: the share of each factor that each latent explains.
        otherwise: all latents, in the order for the rest.
    """
    best = shares.argmax(axis=0) if shares.size else np.empty(0, np.int64)
    found: np.ndarray = np.array(list(dict.fromkeys([*best.tolist(), *otherwise.tolist()])))
    return found
