"""Data sets in one file whose index gives the factors: a full grid, the last factor fastest."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.datasets._prepared import prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import Progress, UnusableFile
from ml.datasets.published._published import PublishedFile, check_md5

IMAGES_AT_ONCE = 4096


class GridFile(PublishedFile):
    """A data set of one file with images in the order of `factors`, the last changing fastest."""

    grid: ClassVar[bool | None] = True
    shape: ClassVar[tuple[int, int, int]] = (64, 64, 3)

    @abstractmethod
    def blocks(self, file: Path) -> Iterator[NDArray[np.uint8]]:
        """All images in order, in blocks.

        Raises:
            UnusableFile: the file does not hold the data it should.
        """

    def image_shape(self) -> tuple[int, int, int]:
        return self.shape

    def read(self, progress: Progress | None = None) -> Dataset:
        file = self.file()
        digest = self.digest()
        sizes = tuple(self.factors.values())
        rows = prepared(
            self.kept(digest),
            (math.prod(sizes), *self.shape),
            lambda: self._checked(file),
            progress,
        )
        return Dataset(
            name=self.component_name(),
            storage=rows,
            image_shape=self.shape,
            factor_names=tuple(self.factors),
            factor_sizes=sizes,
            factor_values=self.names_of_values,
            labels="grid",
            source=digest,
        )

    def _checked(self, file: Path) -> Iterator[NDArray[np.uint8]]:
        check_md5(file, self.md5)
        yield from self.blocks(file)


def check_grid(
    file: Path, labels: NDArray[np.floating], names: Sequence[str], sizes: Sequence[int]
) -> None:
    """Check that labels, (images, factors), are the full grid with the last factor fastest.

    The values of a factor may be any numbers; they count in their order.

    Raises:
        UnusableFile: they are not; the message names the first factor and image that differ.
    """
    grid = np.unravel_index(np.arange(math.prod(sizes)), tuple(sizes))
    for name, size, column, expected in zip(names, sizes, labels.T, grid, strict=True):
        values, ranks = np.unique(column, return_inverse=True)
        if len(values) != size:
            raise UnusableFile(
                file, f"expected {size} values of {name} in its labels, but got {len(values)}"
            )
        wrong = np.flatnonzero(ranks != expected)
        if wrong.size:
            raise UnusableFile(
                file,
                f"expected value {expected[wrong[0]]} of {name} at image {wrong[0]},"
                f" but got {ranks[wrong[0]]}: its labels are not in the order of the grid",
            )
