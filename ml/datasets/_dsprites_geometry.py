"""The dSprites images, drawn from geometry.

No generator of the data set was ever published, so these constants were inferred from its pixels.
814 official frames are known bit for bit, and all of them come out exactly. About 10 to 100 of the
737,280 official images may still differ by a pixel, though no such image has been seen.

The layout is that of `numpy.packbits`. A row of 64 binary pixels is one 64-bit word, whose first
byte has the leftmost pixel in its highest bit, and an image is 64 such words.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SIDE = 64
"""Width and height of an image in pixels."""
IMAGE_BYTES = SIDE * SIDE // 8

SCALES = np.linspace(0.5, 1.0, 6)
ORIENTATIONS = np.linspace(0.0, 2 * pi, 40)
"""Radians, both ends included: the last orientation shows the same image as the first."""
ORIGINS = 16 + 32 * np.linspace(0.0, 1.0, 32)
"""Places of a sprite's origin, in pixels from the left or from the top."""

RADIUS = 0.15 * SIDE
SNAP = 256
"""Vertices lie on a grid of 1/256 pixel, as in an OpenGL rasteriser."""
CENTRES = SNAP * np.arange(SIDE) + SNAP / 2
"""Pixel centres of a row or a column, in units of 1/256 pixel."""

# Entry k has the bits of columns k to 63. The exclusive or of a row with it therefore swaps inside
# and outside from column k on, and entry 64 swaps nothing. Big-endian bytes put column 0 first.
_FROM_COLUMN = np.array([(2**64 - 1) >> k for k in range(SIDE + 1)], dtype=">u8").view(np.uint64)


def outlines() -> tuple[NDArray[np.float64], ...]:
    """Square, ellipse and heart at scale 1 as polygons: (vertices, 2), pixels right and down."""
    square = RADIUS * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)

    angle = 2 * pi * np.arange(100) / 100
    ellipse = RADIUS * np.stack([1.33 * np.cos(angle), np.sin(angle) / 1.33], axis=1)

    angle = 2 * pi * np.arange(150) / 150
    # The heart curve: x = 16 sin^3 f, y = 13 cos f - 5 cos 2f - 2 cos 3f - cos 4f.
    across = 16 * np.sin(angle) ** 3
    up = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
    heart = RADIUS * np.stack([across / 16, -(up / 14.5 + 0.15)], axis=1)
    return square, ellipse, heart


def blocks() -> Iterator[NDArray[np.uint8]]:
    """All images in official order, packed.

    Each shape, scale and orientation has one block of (1024, 512), in which posY changes fastest.
    """
    for outline in outlines():
        for scale in SCALES:
            for orientation in ORIENTATIONS:
                yield _everywhere(scale * _turned(outline, orientation))


def _turned(outline: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The outline turned counter-clockwise as seen on screen, where down is positive."""
    right, down = outline.T
    return np.stack(
        [cos(angle) * right + sin(angle) * down, -sin(angle) * right + cos(angle) * down], axis=1
    )


def _everywhere(polygon: NDArray[np.float64]) -> NDArray[np.uint8]:
    """One polygon at each of the 32 x 32 places: (1024, 512) packed images.

    A pixel is set if its centre lies inside by the even-odd rule. A centre on a left or bottom edge
    is inside, and one on a right or top edge is outside.
    """
    x, y = np.floor(SNAP * (ORIGINS[:, None, None] + polygon) + 0.5).transpose(2, 0, 1)
    next_x, next_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)

    # Snapped rows depend on posY alone and snapped columns on posX alone. So first find which edges
    # cross which rows, once for each posY, in order of (posY, row).
    above = y[:, None, :] < CENTRES[:, None]
    place, row, edge = np.nonzero(above != np.roll(above, -1, axis=2))

    # Then find where they cross, for all posX at once. The products are integers, so only the
    # quotient is rounded, and by too little to carry it past a pixel centre.
    rise = next_y[place, edge] - y[place, edge]
    part = (CENTRES[row] - y[place, edge])[:, None] * (next_x - x).T[edge]
    crossing = x.T[edge] + part / rise[:, None]
    column = np.ceil((crossing - SNAP / 2) / SNAP).astype(np.intp)

    # A row is the exclusive or of the bits that its crossings swap.
    line = place * SIDE + row
    first = np.flatnonzero(np.diff(line, prepend=-1))
    words = np.zeros((ORIGINS.size * SIDE, ORIGINS.size), dtype=np.uint64)
    words[line[first]] = np.bitwise_xor.reduceat(_FROM_COLUMN[column], first, axis=0)
    return np.ascontiguousarray(words.T).view(np.uint8).reshape(-1, IMAGE_BYTES)
