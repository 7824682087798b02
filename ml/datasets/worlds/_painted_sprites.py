"""dSprites in colour: the bits of dSprites, painted when they are gathered.

As bytes these images would take 9 GB for each way to paint them. So the bits of dSprites are all
that is kept, and an image is computed from them and from the number of its row. Random numbers are
those of SplitMix64: number k is a hash of k, so that any image's numbers are had by themselves.

References:
    Steele et al., 2014, https://doi.org/10.1145/2660193.2660195
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray

from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset, Paint
from ml.datasets.dsprites import DSprites
from ml.datasets.protocol import DatasetComponent, Progress

SIDE = 64
CHANNELS = 3
_EIGHT_PIXELS = 255 * np.repeat(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), CHANNELS, axis=1
)
"""What each byte of packed pixels is in three channels, (256, 24)."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_STREAM = 1 << 40
"""Each way to paint has numbers of its own, which begin at a multiple of this."""


class PaintedSprites(DatasetComponent):
    """A data set with the shapes and factors of dSprites, and three channels."""

    not_recoverable: ClassVar[Mapping[str, str]] = DSprites.not_recoverable
    splits = DSprites.splits
    grid: ClassVar[bool | None] = True

    def image_shape(self) -> tuple[int, int, int]:
        return SIDE, SIDE, CHANNELS

    def known_factors(self) -> Mapping[str, Known]:
        return DSprites().known_factors()

    def read(self, progress: Progress | None = None) -> Dataset:
        """Open the images. The first time, dSprites is rendered (seconds).

        Raises:
            MissingFile: there is no file with the background.
            UnusableFile: the background is no picture.
            WrongDigest: this machine does not render dSprites bit for bit.
        """
        paint, notes = self.painted()
        return replace(
            DSprites().read(progress),
            name=self.component_name(),
            packed=False,
            paint=paint,
            image_shape=self.image_shape(),
            max_value=255,
            notes=notes,
        )

    @abstractmethod
    def painted(self) -> tuple[Paint, tuple[str, ...]]:
        """How images are painted, and what users should know about it."""


def sprites(rows: UInt8[np.ndarray, "samples bytes"]) -> UInt8[np.ndarray, "samples 64 192"]:
    """Rows of dSprites as images with all bits set on the sprite and none elsewhere.

    The last axis is columns and channels: red, green, blue, red, …
    """
    return np.take(_EIGHT_PIXELS, rows, axis=0).reshape(len(rows), SIDE, SIDE * CHANNELS)


def along_columns(
    colours: UInt8[np.ndarray, "samples 3"],
) -> UInt8[np.ndarray, "samples 1 192"]:
    """A colour for each image, as rows of pixels of `sprites`."""
    return np.tile(colours, SIDE)[:, None, :]


def as_images(pixels: UInt8[np.ndarray, "samples 64 192"]) -> UInt8[np.ndarray, "samples 64 64 3"]:
    """The channels on an axis of their own."""
    return pixels.reshape(len(pixels), SIDE, SIDE, CHANNELS)


def random_bytes(
    rows: Int64[np.ndarray, "samples"], count: int, *, stream: int
) -> UInt8[np.ndarray, "samples count"]:
    """`count` random bytes for each row. They depend on the row and on the stream alone."""
    words = -(-count // 8)
    first: NDArray[np.uint64] = rows.astype(np.uint64)[:, None] * np.uint64(words)
    number: NDArray[np.uint64] = np.add(first, np.arange(words, dtype=np.uint64))
    # SplitMix64; products are modulo 2^64.
    bits: NDArray[np.uint64] = np.multiply(number + np.uint64(stream * _STREAM + 1), _STEP)
    for shift, factor in _FACTORS:
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    found: NDArray[np.uint8] = bits.astype("<u8", copy=False).view(np.uint8)[:, :count]
    return found
