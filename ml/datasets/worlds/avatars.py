"""Avatars: drawn faces with exact attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets._prepared import prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import DatasetComponent, Progress, data_folder
from ml.datasets.worlds import _avatar_layers as layers

SHA256: Mapping[int, str] = {
    32: "82580130be30f0361bd31dad02568028075c6dcbf30d95e7e316ecd4dbce9788",
    64: "68d10b0e13d7cd190337dfad06af04de907d069f95116842190a380f08b97e5f",
}
"""Digests of all images in order, by width and height."""


@register
class Avatars(DatasetComponent):
    """Avatars: 82,944 drawn faces with ten exact attributes, such as hair, smile and glasses.

    For questions about attributes of faces, with labels that nobody had to judge. Every combination
    occurs once: background (3), skin (4), clothing_colour (3), mouth (4), eyes (3), eyebrows (2),
    hair (6), hair_colour (4), beard (2), glasses (2). All images differ. A beard has the colour of
    the hair. Hair may hide a part of the eyebrows, but never all of what tells them apart.

    The parts are the avataaars by Pablo Stanley, which are free for personal and commercial use.
    They come with the package python-avatars (MIT) and are drawn by resvg-py (MIT). No photograph
    and no person is behind them.

    References:
        Stanley, 2017, https://avataaars.com
    """

    version: ClassVar[int] = 1
    grid: ClassVar[bool | None] = True
    name: Literal["avatars"] = "avatars"
    size: Literal[32, 64] = 64
    """Width and height in pixels."""

    def image_shape(self) -> tuple[int, int, int]:
        return self.size, self.size, 3

    def read(self, progress: Progress | None = None) -> Dataset:
        """All images. The first time they are drawn, which takes seconds and 1 GB of disk,
        or a quarter of that at 32 x 32.

        Raises:
            WrongDigest: other versions of the packages are installed, or this machine draws the
                parts with other rounding.
        """
        sizes = tuple(len(values) for values in layers.FACTORS.values())
        images = prepared(
            data_folder() / f"avatars-{self.size}-v{self.version}.bytes",
            (math.prod(sizes), *self.image_shape()),
            lambda: layers.blocks(self.size),
            progress,
            sha256=SHA256[self.size],
        )
        return Dataset(
            name=self.name,
            storage=images,
            image_shape=self.image_shape(),
            factor_names=tuple(layers.FACTORS),
            factor_sizes=sizes,
            factor_values={name: tuple(values) for name, values in layers.FACTORS.items()},
            labels="grid",
            source="python-avatars",
        )
