"""rooms3d: coloured rooms with an object, drawn by casting rays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets._prepared import prepared
from ml.datasets._splits_of_rooms import SPLITS
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import DatasetComponent, Progress, data_folder
from ml.datasets.worlds import _rooms3d_geometry as geometry
from ml.datasets.worlds._rooms3d_geometry import FACTOR_NAMES, FACTOR_SIZES, SIDE

SHA256 = "583a3db311cb7cf0e36ee7effc1f3d60bec893018d7d62e0515263fd2d084f19"
"""Digest of all images as bytes, in order."""


@register
class Rooms3D(DatasetComponent):
    """rooms3d: 480,000 coloured rooms with an object, 64 x 64 pixels, drawn by casting rays.

    A room has a floor and two walls that meet in a corner, and an object stands on the floor. Every
    combination of six factors occurs once: floor_hue (10), wall_hue (10), object_hue (10), scale
    (8), shape (cube, cylinder, sphere, capsule) and orientation (15). The hues are 36 degrees
    apart, red first. The scale is 0.75 to 1.25, and the orientation is the camera's azimuth, from
    -30 to 30 degrees. No two images are the same.

    These are the factors of 3D Shapes (Burgess and Kim, 2018), with their sizes and in their order.
    The images are our own, and they are not that data set's: scores on the one are not comparable
    with scores on the other.

    The images take 5.9 GB in the data folder. They are drawn once, in less than a minute.

    References:
        Burgess and Kim, 2018, https://github.com/google-deepmind/3d-shapes
        Montero et al., 2022, https://openreview.net/forum?id=7yUxTNWyQGf
    """

    version: ClassVar[int] = 1
    grid: ClassVar[bool | None] = True
    splits = SPLITS
    name: Literal["rooms3d"] = "rooms3d"

    def image_shape(self) -> tuple[int, int, int]:
        return SIDE, SIDE, 3

    def known_factors(self) -> Mapping[str, Known]:
        sizes = dict(zip(FACTOR_NAMES, FACTOR_SIZES, strict=True))
        factors = {name: Known(size) for name, size in sizes.items()}
        return factors | {"shape": Known(len(geometry.SHAPES), values=geometry.SHAPES)}

    def read(self, progress: Progress | None = None) -> Dataset:
        """Map the images, which are drawn first if need be.

        Raises:
            WrongDigest: this machine does not draw the images bit for bit.
        """
        file = data_folder() / f"rooms3d-v{self.version}.bytes"
        shape = (math.prod(FACTOR_SIZES), *self.image_shape())
        return Dataset(
            name=self.name,
            storage=prepared(file, shape, geometry.blocks, progress, sha256=SHA256),
            image_shape=self.image_shape(),
            factor_names=FACTOR_NAMES,
            factor_sizes=FACTOR_SIZES,
            factor_values={"shape": geometry.SHAPES},
            labels="grid",
            source="rendered",
        )
