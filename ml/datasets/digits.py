"""Handwritten digits from scikit-learn: small, real and available without a download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import DatasetComponent, Progress

SIDE = 8
INK_MAX = 16
"""scikit-learn's images have values from 0 to 16."""


@register
class Digits(DatasetComponent):
    """Digits: 1,797 handwritten digits of scikit-learn, enlarged from 8 x 8.

    The digit is the only factor. Images are enlarged by bilinear interpolation between pixel
    centres, with edge values held beyond the outermost centres, and scaled to 0 to 255. The
    originals are from Alpaydin and Kaynak, 1998.

    References:
        Alpaydin and Kaynak, 1998, https://doi.org/10.24432/C50P49
    """

    version: ClassVar[int] = 1
    grid: ClassVar[bool | None] = False
    name: Literal["digits"] = "digits"
    size: Literal[32, 64] = 64
    """Width and height in pixels."""

    def image_shape(self) -> tuple[int, int, int]:
        return self.size, self.size, 1

    def known_factors(self) -> Mapping[str, Known]:
        return {"digit": Known(10)}

    def read(self, progress: Progress | None = None) -> Dataset:
        # scikit-learn takes a second to import, and the catalogue need not wait for it.
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = enlarged(digits.images.astype(np.int64), self.size)
        if progress is not None:
            progress(len(images), len(images))
        return Dataset(
            name=self.name,
            storage=images[..., None],
            image_shape=self.image_shape(),
            factor_names=("digit",),
            factor_sizes=(10,),
            labels=digits.target.astype(np.int64)[:, None],
            source=hashlib.sha256(digits.images.tobytes()).hexdigest(),
        )


def enlarged(images: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Images (n, 8, 8) of 0 to 16, interpolated to (n, size, size) of 0 to 255.

    All arithmetic is in whole numbers, so that every machine gives the same bytes. Halves round up.
    """
    weights = _weights(size)
    one = int(weights[0].sum()) ** 2 * INK_MAX
    ink = weights @ images @ weights.T
    return ((2 * 255 * ink + one) // (2 * one)).astype(np.uint8)


def _weights(size: int) -> NDArray[np.int64]:
    """The weight of each of 8 pixels in each new pixel, (size, 8). Each row sums to size / 4."""
    factor = size // SIDE
    weights = np.zeros((size, SIDE), dtype=np.int64)
    for new in range(size):
        # The new pixel's centre, (new + 1/2) / factor - 1/2 old pixels, in units of 1 / (2 factor).
        below, part = divmod(2 * new + 1 - factor, 2 * factor)
        weights[new, max(below, 0)] += 2 * factor - part
        weights[new, min(below + 1, SIDE - 1)] += part
    return weights
