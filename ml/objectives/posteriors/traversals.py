"""Traversals as numbers: where they start, and through which values a latent is led.

Codes are (samples, latents); the values of a traversal are (latents, frames), rising along a row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Span = Literal["quantiles", "deviations", "range", "units"]

EXTENTS: dict[Span, float] = {"quantiles": 0.01, "deviations": 2.0, "units": 3.0}
"""The extent of each span that has one, where nobody gives another."""


def spanned(
    codes: Float[np.ndarray, "samples latents"],
    frames: int,
    *,
    span: Span = "quantiles",
    extent: float | None = None,
) -> Float[np.ndarray, "latents frames"]:
    """Values through which each latent is led.

    - `quantiles` of the latent's own codes, from the share `extent` to 1 - `extent` (0.01): as
      many images lie between any two neighbours.
    - `deviations`: the codes' mean, `extent` (2) of their deviations to either side.
    - `range`: from the codes' least to their greatest.
    - `units`: from -`extent` to `extent` (3), which under a standard normal prior are its own
      deviations.
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
    """The same evenly spaced values for each latent."""
    return np.tile(np.linspace(low, high, frames), (latents, 1))


def most_typical(codes: Float[np.ndarray, "samples latents"]) -> int:
    """The row whose code is nearest to the mean, each latent in units of its deviation."""
    deviation = codes.std(axis=0)
    scaled = (codes - codes.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return int(np.argmin((scaled**2).sum(axis=1)))


def led(
    base: Float[np.ndarray, "latents"],
    latents: Int[np.ndarray, "rows"],
    values: Float[np.ndarray, "latents frames"],
) -> Float[np.ndarray, "rows frames latents"]:
    """Codes in which one latent after another is led while the others stay at the base.

    `latents` are those that are led, and `values` those of all latents.
    """
    codes = np.tile(base, (len(latents), values.shape[1], 1))
    codes[np.arange(len(latents)), :, latents] = values[latents]
    return codes


def plane(
    base: Float[np.ndarray, "latents"], x: int, y: int, values: Float[np.ndarray, "latents frames"]
) -> Float[np.ndarray, "frames frames latents"]:
    """Codes in which two latents are led: `x` along the columns, `y` falling along the rows."""
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
        shares: what each latent tells of each factor.
        otherwise: all latents.
    """
    best = shares.argmax(axis=0) if shares.size else np.empty(0, np.int64)
    found: np.ndarray = np.array(list(dict.fromkeys([*best.tolist(), *otherwise.tolist()])))
    return found
