"""The four idx files of MNIST and of the data sets in its form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.datasets._prepared import prepared
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import Progress, UnusableFile
from ml.datasets.published._published import PublishedFiles
from ml.datasets.published._renders import resized
from ml.datasets.published._streams import opened

SIDE = 28
_UNSIGNED_BYTE = 8


class IdxImages(PublishedFiles):
    """Images of 28 x 28 in ten classes: 60,000 to train and 10,000 to test, in this order."""

    grid: ClassVar[bool | None] = False
    counts: ClassVar[Mapping[str, int]] = {"train": 60_000, "t10k": 10_000}
    factor: ClassVar[str]
    """What the class is called."""
    classes: ClassVar[tuple[str, ...]]
    size: Literal[28, 32, 64] = 64
    """Width and height in pixels: 28 as published, 32 with two black pixels added at each border,
    or 64, which is the image of 32 enlarged by bilinear interpolation."""

    def known_factors(self) -> Mapping[str, Known]:
        return {self.factor: Known(len(self.classes), values=self.classes)}

    def image_shape(self) -> tuple[int, int, int]:
        return self.size, self.size, 1

    def read(self, progress: Progress | None = None) -> Dataset:
        found, digest = self.found(), self.digest()
        rows = prepared(
            self.kept(digest, f"-{self.size}"),
            (sum(self.counts.values()), *self.image_shape()),
            lambda: self._blocks(found),
            progress,
        )
        labels = np.concatenate(
            [
                block
                for part, count in self.counts.items()
                for block in _values(found[f"{part}-labels-idx1-ubyte.gz"], (count,))
            ]
        ).astype(np.int64)
        if labels.max() >= len(self.classes):
            raise UnusableFile(
                found["train-labels-idx1-ubyte.gz"],
                f"expected labels from 0 to {len(self.classes) - 1}, but got {labels.max()}",
            )
        return Dataset(
            name=self.component_name(),
            storage=rows,
            image_shape=self.image_shape(),
            factor_names=(self.factor,),
            factor_sizes=(len(self.classes),),
            factor_values={self.factor: self.classes},
            labels=labels[:, None],
            source=digest,
        )

    def _blocks(self, found: Mapping[str, Path]) -> Iterator[NDArray[np.uint8]]:
        for part, count in self.counts.items():
            for images in _values(found[f"{part}-images-idx3-ubyte.gz"], (count, SIDE, SIDE)):
                yield self._form(images)[..., None]

    def _form(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.size == SIDE:
            return images
        padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
        if self.size == 32:
            return padded
        return np.stack([resized(image, self.size, enlarge=True) for image in padded])


def _values(file: Path, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """The bytes of an idx file in blocks: two zeros, type, dimensions, their sizes, values."""
    with opened(file) as stream:
        magic = stream.take(4)
        if magic != bytes([0, 0, _UNSIGNED_BYTE, len(shape)]):
            raise UnusableFile(
                file,
                f"expected an idx file of bytes in {len(shape)} dimensions, whose first bytes are"
                f" 00 00 08 {len(shape):02d}, but got {magic.hex(' ')}",
            )
        sizes = tuple(np.frombuffer(stream.take(4 * len(shape)), dtype=">i4").tolist())
        if sizes != shape:
            raise UnusableFile(file, f"expected sizes {shape}, but got {sizes}")
        yield from stream.rows(shape)
