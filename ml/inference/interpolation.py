"""Ways from one latent to another."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

Path = Literal["linear", "spherical"]

NO_ARC = 1e-6
"""Sine of the angle below which two directions are one, or opposite."""


def interpolate(
    a: Float[np.ndarray, "latents"],
    b: Float[np.ndarray, "latents"],
    frames: int,
    path: Path = "linear",
) -> Float[np.ndarray, "frames latents"]:
    r"""Latents on the way from `a` to `b`, both included.

    `linear` is the straight line. `spherical` turns the direction evenly through the angle
    :math:`\Omega` between the two, while the norm goes from one to the other in a straight line:

    .. math:: r_t \left(\frac{\sin((1 - t)\Omega)}{\sin\Omega} \frac{a}{|a|}
        + \frac{\sin(t\Omega)}{\sin\Omega} \frac{b}{|b|}\right), \quad r_t = (1 - t)|a| + t|b|

    The middle of a straight line is nearer to the origin than its ends, which samples of a normal
    prior of many latents hardly ever are. Where the directions are the same or opposite, or
    one of the latents is zero, there is no one such arc, and the way is straight.

    References:
        Shoemake, 1985, https://doi.org/10.1145/325334.325242;
        White, 2016, https://arxiv.org/abs/1609.04468
    """
    start, end = a.astype(np.float64), b.astype(np.float64)
    t = np.linspace(0.0, 1.0, frames)[:, None]
    way = _arc(start, end, t) if path == "spherical" else None
    if way is None:
        way = (1 - t) * start + t * end
    # Not off by a rounding: the ends are the two latents.
    way[0], way[-1] = start, end
    return way.astype(np.float32)


def _arc(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray | None:
    norm_a, norm_b = np.linalg.norm(a), np.linalg.norm(b)
    if min(norm_a, norm_b) == 0:
        return None
    from_a, to_b = a / norm_a, b / norm_b
    cosine = float(np.clip(from_a @ to_b, -1, 1))
    angle = np.arccos(cosine)
    if np.sin(angle) < NO_ARC:
        return None
    direction = (np.sin((1 - t) * angle) * from_a + np.sin(t * angle) * to_b) / np.sin(angle)
    found: np.ndarray = ((1 - t) * norm_a + t * norm_b) * direction
    return found
