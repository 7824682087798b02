"""dSprites: rendered from its geometry, or read from the official file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ml.components.registry import register
from ml.datasets import _dsprites_geometry as geometry
from ml.datasets._dsprites_geometry import FACTOR_NAMES, FACTOR_SIZES, IMAGE_BYTES, SIDE
from ml.datasets._files import sha256_of
from ml.datasets._npz import array_stream
from ml.datasets._prepared import prepared
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import (
    DatasetComponent,
    MissingFile,
    OperatorPath,
    Progress,
    UnusableFile,
    data_folder,
    operator_file,
)

RENDERED_SHA256 = "3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da"
"""Digest of all rendered images, packed, in order. As bytes 0 and 1 they have 2c612e5234d2..."""

PUBLISHED = (
    "https://github.com/google-deepmind/dsprites-dataset"
    " as dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
)
IMAGES_AT_ONCE = 4096

FactorName = Literal["shape", "scale", "orientation", "posX", "posY"]
FactorValues = Annotated[tuple[Annotated[int, Field(ge=0, le=39)], ...], Field(min_length=1)]
_FACTORS: Mapping[FactorName, int] = dict(zip(get_args(FactorName), FACTOR_SIZES, strict=True))


@register
class DSprites(DatasetComponent):
    """dSprites: 737,280 squares, ellipses and hearts, white on black, 64 x 64.

    Every combination of five factors occurs once: shape, scale, orientation, posX, posY. The single
    colour is no factor here. Orientations 0 and 39 are the same angle, and squares and ellipses
    look the same after a part of a turn, so no code can fully recover the orientation.

    Images are rendered unless `path` names the official file (Matthey et al., 2017). Bit for bit,
    the rendered images agree with all 814 official frames that are known. About 10 to 100 of the
    other official images may differ from them by a pixel. `Dataset.source` says which were used.

    References:
        Matthey et al., 2017, https://github.com/google-deepmind/dsprites-dataset
        Montero et al., 2022, https://openreview.net/forum?id=7yUxTNWyQGf
    """

    version: ClassVar[int] = 1
    grid: ClassVar[bool | None] = True
    not_recoverable: ClassVar[Mapping[str, str]] = {
        "orientation": "squares look the same after a quarter of a turn and ellipses after half a"
        " turn, and the first and the last of the 40 values are one angle"
    }
    splits: ClassVar[Mapping[str, Sequence[Mapping[str, Sequence[int]]]]] = {
        "extrapolation": [{"posX": range(16, 32)}],
        "shape_to_posX": [{"shape": [0], "posX": range(16, 32)}],
        "leave_one_out": [
            {
                "shape": [1],
                "scale": range(2, 6),
                "orientation": range(14, 26),
                "posX": range(21, 32),
                "posY": range(21, 32),
            }
        ],
    }
    """Those of Montero et al. 2022: half of the places, squares in half of the places, and one
    corner of all combinations."""
    name: Literal["dsprites"] = "dsprites"
    path: OperatorPath | None = None
    """The official .npz file, relative to the data folder. If null, the images are rendered."""
    values: Mapping[FactorName, FactorValues] = Field(default_factory=dict)
    """Keeps only images with these values of a factor; by default all values are kept.
    `{shape: [0, 1]}` leaves out the hearts (shape 2). The values that are kept are numbered anew
    from 0. A factor with a single value takes no part in scores, and the scores say so."""

    @field_validator("values")
    @classmethod
    def _in_order(
        cls, given: Mapping[FactorName, tuple[int, ...]]
    ) -> Mapping[FactorName, tuple[int, ...]]:
        for factor, values in given.items():
            if max(values) >= _FACTORS[factor] or len(set(values)) < len(values):
                raise ValueError(f"different values of {factor} from 0 to {_FACTORS[factor] - 1}")
        if all(len(given.get(name, range(size))) == 1 for name, size in _FACTORS.items()):
            raise ValueError("at least two images")
        # One choice has one form: a factor that keeps all its values is dropped.
        return {
            name: tuple(sorted(given[name]))
            for name, size in _FACTORS.items()
            if name in given and len(given[name]) < size
        }

    def image_shape(self) -> tuple[int, int, int]:
        return SIDE, SIDE, 1

    def known_factors(self) -> Mapping[str, Known]:
        return {
            name: Known(len(self.values.get(name, range(size)))) for name, size in _FACTORS.items()
        }

    def read(self, progress: Progress | None = None) -> Dataset:
        """Read the images. The first time they are rendered (seconds) or unpacked (10 seconds).

        Raises:
            MissingFile: there is no file at `path`.
            UnusableFile: the file at `path` is not the official data.
            WrongDigest: this machine does not render the images bit for bit.
        """
        shape = (math.prod(FACTOR_SIZES), IMAGE_BYTES)
        if self.path is None:
            source = "rendered"
            kept = data_folder() / f"dsprites-rendered-v{self.version}.bits"
            rows = prepared(kept, shape, geometry.blocks, progress, sha256=RENDERED_SHA256)
        else:
            file = _official_file(self.path)
            source = sha256_of(file)
            kept = data_folder() / f"dsprites-{source}.bits"
            rows = prepared(kept, shape, lambda: _official_blocks(file), progress)
        sizes: tuple[int, ...] = FACTOR_SIZES
        if self.values:
            chosen = [self.values.get(name, range(size)) for name, size in _FACTORS.items()]
            sizes = tuple(len(values) for values in chosen)
            index = np.ravel_multi_index(np.ix_(*chosen), FACTOR_SIZES).ravel()
            text = "-".join(f"{name}{'.'.join(map(str, v))}" for name, v in self.values.items())
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            whole, part = rows, kept.with_name(f"{kept.stem}-{digest}.bits")
            rows = prepared(part, (len(index), IMAGE_BYTES), lambda: _rows(whole, index), progress)
        return Dataset(
            name=self.name,
            storage=rows,
            packed=True,
            image_shape=(SIDE, SIDE, 1),
            factor_names=FACTOR_NAMES,
            factor_sizes=sizes,
            labels="grid",
            max_value=1,
            source=source,
        )

    def identity(self) -> dict[str, Any]:
        """Parameters and version, with the file's SHA-256 in place of its path.

        It has `values` only if some values are left out.

        Raises:
            MissingFile: there is no file at `path`.
        """
        identity = super().identity()
        if not self.values:
            # Runs from before `values` existed keep their identity.
            del identity["values"]
        if self.path is not None:
            identity["path"] = f"sha256:{sha256_of(_official_file(self.path))}"
        return identity


def _rows(whole: NDArray[np.uint8], index: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(index), IMAGES_AT_ONCE):
        yield np.ascontiguousarray(whole[index[start : start + IMAGES_AT_ONCE]])


def _official_file(path: str) -> Path:
    file = operator_file(path)
    if not file.is_file():
        raise MissingFile(file, size="20 to 30 MB", published=PUBLISHED)
    return file


def _official_blocks(file: Path) -> Iterator[NDArray[np.uint8]]:
    """The images of the official file, packed. Its labels are first checked to be the grid's."""
    images = math.prod(FACTOR_SIZES)
    with array_stream(file, "latents_classes", (images, 6), np.int64) as stream:
        classes = np.frombuffer(stream.read(), dtype=np.int64).reshape(images, 6)
    colour = np.zeros(images, dtype=np.int64)
    grid = np.stack([colour, *np.unravel_index(np.arange(images), FACTOR_SIZES)], axis=1)
    wrong = np.flatnonzero((classes != grid).any(axis=1))
    if wrong.size:
        raise UnusableFile(
            file,
            f"expected latents_classes {grid[wrong[0]].tolist()} at image {wrong[0]},"
            f" but got {classes[wrong[0]].tolist()}",
        )

    with array_stream(file, "imgs", (images, SIDE, SIDE), np.uint8) as stream:
        for start in range(0, images, IMAGES_AT_ONCE):
            count = min(IMAGES_AT_ONCE, images - start)
            pixels = np.frombuffer(stream.read(count * SIDE * SIDE), dtype=np.uint8)
            if pixels.max() > 1:
                raise UnusableFile(
                    file,
                    f"expected pixels of 0 and 1, but got {pixels.max()} from image {start} on",
                )
            yield np.packbits(pixels.reshape(count, -1), axis=1)
