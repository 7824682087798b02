"""Traversals as numbers: where they start, and through which values a latent is led.

Codes are (samples, latents); the values of a traversal are (latents, frames), rising along a row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Span = Literal["quantiles", "deviations", "range", "units"]

EXTENTS: dict[Span, float] = {"quantiles": 0.01, "deviations": 2.0, "units": 3.0}
"""The extent of each span that has one, where nobody gives another."""


def spanned(
    codes: np.ndarray, frames: int, *, span: Span = "quantiles", extent: float | None = None
) -> np.ndarray:
    """Values through which each latent is led, (latents, frames).

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


def evenly(low: float, high: float, *, latents: int, frames: int) -> np.ndarray:
    """The same evenly spaced values for each latent, (latents, frames)."""
    return np.tile(np.linspace(low, high, frames), (latents, 1))


def most_typical(codes: np.ndarray) -> int:
    """The row whose code is nearest to the mean, each latent in units of its deviation."""
    deviation = codes.std(axis=0)
    scaled = (codes - codes.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return int(np.argmin((scaled**2).sum(axis=1)))


def led(base: np.ndarray, latents: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Codes in which one latent after another is led while the others stay at the base.

    Args:
        base: (latents,).
        latents: those that are led, (rows,).
        values: (latents, frames).

    Returns:
        (rows, frames, latents).
    """
    codes = np.tile(base, (len(latents), values.shape[1], 1))
    codes[np.arange(len(latents)), :, latents] = values[latents]
    return codes


def plane(base: np.ndarray, x: int, y: int, values: np.ndarray) -> np.ndarray:
    """Codes in which two latents are led: `x` along the columns, `y` falling along the rows.

    Returns:
        (frames, frames, latents).
    """
    frames = values.shape[1]
    codes = np.tile(base, (frames, frames, 1))
    codes[:, :, x] = values[x]
    codes[:, :, y] = values[y, ::-1, None]
    return codes


def by_factor(shares: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Each factor's best latent in the factors' order, then the rest in the order `otherwise`.

    Args:
        shares: what each latent tells of each factor, (latents, factors).
        otherwise: all latents, (latents,).
    """
    best = shares.argmax(axis=0) if shares.size else np.empty(0, np.int64)
    found: np.ndarray = np.array(list(dict.fromkeys([*best.tolist(), *otherwise.tolist()])))
    return found
