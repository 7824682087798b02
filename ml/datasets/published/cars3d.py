"""3D Cars, read from a folder of meshes in MATLAB's format."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._prepared import digest_of, prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import OperatorPath, Progress, UnusableFile
from ml.datasets.published._renders import PublishedFolder, listing, resized

_PUBLISHED_SIDE = 128


@register
class Cars3D(PublishedFolder):
    """3D Cars: 17,568 colour renders of 183 cars, 128 x 128, reduced to 64 x 64.

    Every combination of three factors occurs once, in this order: elevation (4), azimuth (24),
    object_type (183). Cars are numbered by the sorted names of their files. Images are reduced by
    Lanczos interpolation, as disentanglement_lib does.

    Files: the folder `data/cars` of the unpacked `nips2015-analogy-data.tar.gz`, which has one
    `car_…_mesh.mat` for each car with `im` uint8 (128, 128, 3, 24, 4). That archive's MD5 is
    4e866a7919c1beedf53964e6f7a23686; its size and its licence are not known here. It was published
    at http://www.scottreed.info/files/nips2015-analogy-data.tar.gz. `Dataset.source` is the SHA-256
    of the prepared images.

    References:
        Reed et al., 2015, https://papers.nips.cc/paper/5845-deep-visual-analogy-making
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
        " (md5 4e866a7919c1beedf53964e6f7a23686) as its folder data/cars"
    )
    published_size: ClassVar[str] = "183 files of one car each, 863 MB unpacked"
    wanted: ClassVar[re.Pattern[str]] = re.compile(r"[^/.][^/]*\.mat")
    factors: ClassVar[Mapping[str, int]] = {"elevation": 4, "azimuth": 24, "object_type": 183}
    name: Literal["cars3d"] = "cars3d"
    path: OperatorPath = "cars"
    """The folder of .mat files, relative to the data folder."""

    def image_shape(self) -> tuple[int, int, int]:
        return 64, 64, 3

    def read(self, progress: Progress | None = None) -> Dataset:
        folder, digest = self.folder(), self.digest()
        elevations, azimuths, cars = self.factors.values()
        files = [folder / name for name, _ in listing(folder, self.wanted)]
        if len(files) != cars:
            raise UnusableFile(folder, f"expected {cars} .mat files, but got {len(files)}")
        kept = self.kept(digest)
        count = elevations * azimuths * cars
        rows = prepared(
            kept,
            (count, *self.image_shape()),
            lambda: _blocks(files, (azimuths, elevations)),
            progress,
        )
        # Rows are stored car by car.
        order = np.arange(count).reshape(cars, elevations, azimuths).transpose(1, 2, 0)
        return Dataset(
            name=self.name,
            storage=rows,
            chosen=order.ravel(),
            image_shape=self.image_shape(),
            factor_names=tuple(self.factors),
            factor_sizes=(elevations, azimuths, cars),
            labels="grid",
            source=digest_of(kept),
        )


def _blocks(files: Sequence[Path], views: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        mesh = _mesh(file, (_PUBLISHED_SIDE, _PUBLISHED_SIDE, 3, *views))
        images = mesh.transpose(4, 3, 0, 1, 2).reshape(-1, _PUBLISHED_SIDE, _PUBLISHED_SIDE, 3)
        yield np.stack([resized(np.ascontiguousarray(image), 64) for image in images])


def _mesh(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The renders of one car. Their declared type and shape are checked before they are read."""
    # scipy.io takes a while to import, and the catalogue need not wait for it.
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        declared = {name: (size, kind) for name, size, kind in whosmat(file, appendmat=False)}
        if declared.get("im") != (shape, "uint8"):
            got = " ".join(map(str, reversed(declared["im"]))) if "im" in declared else "none"
            raise UnusableFile(file, f"expected 'im' of uint8 {shape}, but got {got}")
        found = loadmat(file, appendmat=False, variable_names=["im"])["im"]
    except UnusableFile:
        raise
    except NotImplementedError as newer:
        raise UnusableFile(
            file, "it is of MATLAB 7.3, but the published files are older"
        ) from newer
    except (
        MatReadError,
        OSError,
        TypeError,
        ValueError,
        LookupError,
        EOFError,
        struct.error,
        zlib.error,
    ) as damage:
        raise UnusableFile(file, f"it is damaged, or no .mat file ({damage})") from damage
    if found.shape != shape or found.dtype != np.uint8:
        raise UnusableFile(
            file, f"expected 'im' of uint8 {shape}, but got {found.dtype} {found.shape}"
        )
    images: NDArray[np.uint8] = found
    return images
