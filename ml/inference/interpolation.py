"""Interpolation between two latents."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

Path = Literal["linear", "spherical"]

NO_ARC = 1e-6
"""If the sine of their angle is smaller, two directions count as the same or opposite."""


def interpolate(
    a: Float[np.ndarray, "latents"],
    b: Float[np.ndarray, "latents"],
    frames: int,
    path: Path = "linear",
) -> Float[np.ndarray, "frames latents"]:
    r"""Latents on the way from `a` to `b`, both included.

    `linear` follows the straight line. `spherical` turns the direction evenly through the angle
    :math:`\Omega` between the two, and changes the norm linearly:

    .. math:: r_t \left(\frac{\sin((1 - t)\Omega)}{\sin\Omega} \frac{a}{|a|}
        + \frac{\sin(t\Omega)}{\sin\Omega} \frac{b}{|b|}\right), \quad r_t = (1 - t)|a| + t|b|

    The middle of a straight line is nearer to the origin than its ends. Samples of a normal prior
    of many latents are hardly ever so near. The way is straight, too, if the directions are the
    same or opposite, or if one of the latents is zero, as the arc is not unique then.

    References:
        Shoemake, 1985, https://doi.org/10.1145/325334.325242;
        White, 2016, https://arxiv.org/abs/1609.04468
    """
    start, end = a.astype(np.float64), b.astype(np.float64)
    t = np.linspace(0.0, 1.0, frames)[:, None]
    way = _arc(start, end, t) if path == "spherical" else None
    if way is None:
        way = (1 - t) * start + t * end
    # The ends are set to be exactly the two latents, without rounding.
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
