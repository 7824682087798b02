"""What the four MPI3D data sets share: their factors, and how a file of them is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.datasets._npz import array_stream
from ml.datasets.published._grid import IMAGES_AT_ONCE, GridFile


class Mpi3d(GridFile):
    """An MPI3D data set, whose .npz file holds `images` uint8 (n, 64, 64, 3)."""

    published_size: ClassVar[str] = "12.7 GB unpacked, less in the file"
    factors: ClassVar[Mapping[str, int]] = {
        "object_color": 6,
        "object_shape": 6,
        "object_size": 2,
        "camera_height": 3,
        "background_color": 3,
        "horizontal_axis": 40,
        "vertical_axis": 40,
    }
    names_of_values: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "object_color": ("white", "green", "red", "blue", "brown", "olive"),
        "object_shape": ("cone", "cube", "cylinder", "hexagonal", "pyramid", "sphere"),
        "object_size": ("small", "large"),
        "camera_height": ("top", "center", "bottom"),
        "background_color": ("purple", "sea green", "salmon"),
    }

    def blocks(self, file: Path) -> Iterator[NDArray[np.uint8]]:
        count = math.prod(self.factors.values())
        with array_stream(file, "images", (count, *self.shape), np.uint8) as stream:
            for start in range(0, count, IMAGES_AT_ONCE):
                rows = min(IMAGES_AT_ONCE, count - start)
                pixels = np.frombuffer(stream.read(rows * math.prod(self.shape)), dtype=np.uint8)
                yield pixels.reshape(rows, *self.shape)
