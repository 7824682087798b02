"""3D Chairs, read from their folder of renders."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._prepared import digest_of, prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import OperatorPath, Progress, UnusableFile
from ml.datasets.published._renders import PublishedFolder, in_threads, listing, picture

_LEAST_SIDE = 96


@register
class Chairs3D(PublishedFolder):
    """3D Chairs: 86,366 colour renders of 1,393 chairs on white, reduced to 64 x 64.

    Every combination of three factors occurs once, in this order: model (1,393), elevation (2),
    azimuth (31). Models are numbered by the sorted names of their folders, and angles by the
    degrees in the names of the files (`pXXX` the elevation, `tYYY` the azimuth). The middle two
    thirds of each side are cut out, 400 of 600 pixels as in the code of Dubois (2019), and reduced
    by Lanczos interpolation.

    Files: the unpacked `rendered_chairs.tar`, with 62 files
    `<model>/renders/image_NNN_pXXX_tYYY_rZZZ.png` for each model. Its size, checksum and licence
    are not known here. It was published at
    https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar. `Dataset.source`
    is the SHA-256 of the prepared images.

    References:
        Aubry et al., 2014, https://www.di.ens.fr/willow/research/seeing3Dchairs
        Dubois et al., 2019, https://github.com/YannDubs/disentangling-vae
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar"
    )
    published_size: ClassVar[str] = "86,366 files, whose size is not known here"
    wanted: ClassVar[re.Pattern[str]] = re.compile(
        r"[^/]+/renders/image_\d{1,4}_p-?\d{1,4}_t-?\d{1,4}_r-?\d{1,4}\.png"
    )
    factors: ClassVar[Mapping[str, int]] = {"model": 1393, "elevation": 2, "azimuth": 31}
    name: Literal["chairs3d"] = "chairs3d"
    path: OperatorPath = "rendered_chairs"
    """The folder with a folder for each model, relative to the data folder."""

    def image_shape(self) -> tuple[int, int, int]:
        return 64, 64, 3

    def read(self, progress: Progress | None = None) -> Dataset:
        folder, digest = self.folder(), self.digest()
        sizes = tuple(self.factors.values())
        kept = self.kept(digest)
        rows = prepared(
            kept,
            (math.prod(sizes), *self.image_shape()),
            lambda: self._blocks(folder),
            progress,
        )
        return Dataset(
            name=self.name,
            storage=rows,
            image_shape=self.image_shape(),
            factor_names=tuple(self.factors),
            factor_sizes=sizes,
            labels="grid",
            source=digest_of(kept),
        )

    def _blocks(self, folder: Path) -> Iterator[NDArray[np.uint8]]:
        names = self._in_order(folder)
        yield from in_threads(names, lambda name: picture(folder / name, name, "PNG", _middle))

    def _in_order(self, folder: Path) -> list[str]:
        """The names of the files by model, elevation and azimuth, each combination once.

        Every model must have the angles of the first, or a factor's value would mean several.
        """
        models, elevations, azimuths = self.factors.values()
        keys = sorted((*_place(name), name) for name, _ in listing(folder, self.wanted))
        found = 0
        first: list[tuple[int, int]] = []
        for model, group in groupby(keys, key=lambda key: key[0]):
            found += 1
            renders = list(group)
            for elevation, turned in groupby(renders, key=lambda key: key[1]):
                angles = [key[2] for key in turned]
                if len(angles) != azimuths or len(set(angles)) != azimuths:
                    raise UnusableFile(
                        folder,
                        f"expected {azimuths} azimuths of {model} at elevation {elevation},"
                        f" but got {len(set(angles))} in {len(angles)} files",
                    )
            if len(renders) != elevations * azimuths:
                raise UnusableFile(
                    folder,
                    f"expected {elevations} elevations of {model},"
                    f" but got {len(renders) // azimuths}",
                )
            angles_of_model = [key[1:3] for key in renders]
            first = first or angles_of_model
            if angles_of_model != first:
                (elevation, azimuth), *_ = sorted(set(first) - set(angles_of_model))
                raise UnusableFile(
                    folder,
                    f"expected {model} at elevation {elevation} and azimuth {azimuth} degrees,"
                    f" as {keys[0][0]} is, but it is not",
                )
        if found != models:
            raise UnusableFile(folder, f"expected {models} models, but got {found}")
        return [key[3] for key in keys]


def _place(name: str) -> tuple[str, int, int]:
    """Model, elevation and azimuth from a file's name."""
    model, _, image = name.split("/")
    _, _, elevation, azimuth, _ = image.split("_")
    return model, int(elevation[1:]), int(azimuth[1:])


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    width, height = size
    if width != height or not _LEAST_SIDE <= width <= 1200:
        return None
    border = width // 6
    return border, border, width - border, height - border
