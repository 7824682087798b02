"""Isaac3D, read from its folder of renders."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._prepared import digest_of, prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import MissingFile, OperatorPath, Progress, UnusableFile
from ml.datasets.published._grid import check_grid
from ml.datasets.published._renders import PublishedFolder, in_threads, listing, picture

_LABELS = "labels.npy"
_SIDES = (128, 512)
"""Of the small and of the large published renders."""


@register
class Isaac3D(PublishedFolder):
    """Isaac3D: 737,280 colour renders of a robot's arm in a kitchen, reduced to 64 x 64.

    Every combination of nine factors occurs once, in the order of the index: object_shape (3),
    robot_x (8), robot_y (5), camera_height (4), object_scale (4), lighting_intensity (4),
    lighting_y_dir (6), object_color (4), wall_color (4). The page that publishes them names the
    factors in another order; only this one fits the numbers there, and `labels.npy` is checked
    against it. Images are reduced by Lanczos interpolation.

    Files: a folder with `images/000000.png` to `images/737279.png`, 512 x 512 (190 GB) or 128 x 128
    (13 GB), and `labels.npy` (737280, 9); no checksum is known here. Licence: Creative Commons
    Attribution 4.0 by NVIDIA. It is published at
    https://github.com/NVlabs/High-res-disentanglement-datasets. `Dataset.source` is the SHA-256 of
    the prepared images.

    References:
        Nie et al., 2020, https://arxiv.org/abs/2003.03461
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = "https://github.com/NVlabs/High-res-disentanglement-datasets"
    published_size: ClassVar[str] = "190 GB at 512 x 512, 13 GB at 128 x 128"
    wanted: ClassVar[re.Pattern[str]] = re.compile(r"labels\.npy|images/\d{6}\.png")
    factors: ClassVar[Mapping[str, int]] = {
        "object_shape": 3,
        "robot_x": 8,
        "robot_y": 5,
        "camera_height": 4,
        "object_scale": 4,
        "lighting_intensity": 4,
        "lighting_y_dir": 6,
        "object_color": 4,
        "wall_color": 4,
    }
    name: Literal["isaac3d"] = "isaac3d"
    path: OperatorPath = "Isaac3D"
    """The folder that has `images` and `labels.npy`, relative to the data folder."""

    def image_shape(self) -> tuple[int, int, int]:
        return 64, 64, 3

    def folder(self) -> Path:
        folder = super().folder()
        if not (folder / _LABELS).is_file():
            raise MissingFile(
                folder / _LABELS, size="a part of the data set", published=self.published
            )
        return folder

    def read(self, progress: Progress | None = None) -> Dataset:
        folder, digest = self.folder(), self.digest()
        sizes = tuple(self.factors.values())
        kept = self.kept(digest)
        rows = prepared(
            kept,
            (math.prod(sizes), *self.image_shape()),
            lambda: self._blocks(folder, sizes),
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

    def _blocks(self, folder: Path, sizes: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        self._check_labels(folder / _LABELS, sizes)
        names = [name for name, _ in listing(folder, self.wanted) if name != _LABELS]
        count = math.prod(sizes)
        expected = [f"images/{index:06}.png" for index in range(count)]
        if names != expected:
            missing = sorted(set(expected) - set(names))
            raise UnusableFile(
                folder,
                f"expected {count} images, but got {len(names)}"
                + (f"; {missing[0]} is missing" if missing else ""),
            )
        yield from in_threads(names, lambda name: picture(folder / name, name, "PNG", _whole))

    def _check_labels(self, file: Path, sizes: Sequence[int]) -> None:
        try:
            labels = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as damage:
            raise UnusableFile(file, f"it is no numpy array ({damage})") from damage
        shape = (math.prod(sizes), len(sizes))
        if getattr(labels, "shape", None) != shape or labels.dtype.kind not in "fiu":
            got = getattr(labels, "shape", "an archive")
            raise UnusableFile(file, f"expected numbers {shape}, but got {got}")
        check_grid(file, labels, tuple(self.factors), sizes)


def _whole(size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    width, height = size
    return (0, 0, width, height) if width == height and width in _SIDES else None
