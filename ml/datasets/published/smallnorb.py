"""Small NORB, read from its six matrix files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._prepared import prepared
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import OperatorPath, Progress, UnusableFile
from ml.datasets.published._published import PublishedFiles
from ml.datasets.published._renders import resized
from ml.datasets.published._streams import Stream, opened

_TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training-{}.mat.gz"
_TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing-{}.mat.gz"
_BYTES, _INTEGERS = 0x1E3D4C55, 0x1E3D4C54
_PUBLISHED_SIDE = 96


@register
class SmallNorb(PublishedFiles):
    """Small NORB: 48,600 grey photographs of 50 toys, 96 x 96, reduced to 64 x 64.

    Factors are category (5), elevation (9), azimuth (18) and lighting (6), as in Locatello et al.,
    2019. Each combination occurs ten times, once for each instance of the category. With `instance`
    that is a factor (10), too, and every combination occurs once. Of each stereo pair the first
    image is taken. Images are reduced by Lanczos interpolation. The published halves for training
    and tests are joined, and sorted by category, instance, elevation, azimuth and lighting.

    Files in the folder `path`, each as published (.gz) or unpacked:
    `smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat.gz` (131,896,188 bytes), `…-cat.mat.gz` (348)
    and `…-info.mat.gz` (71,052), `smallnorb-5x01235x9x18x6x2x96x96-testing-dat.mat.gz`
    (130,799,817), `…-cat.mat.gz` (347) and `…-info.mat.gz` (10,428). Packed files with other
    checksums than those in TensorFlow Datasets are refused. Licence: for research, not to be sold.
    They are published at https://cs.nyu.edu/~ylclab/data/norb-v1.0-small.

    References:
        LeCun et al., 2004, https://cs.nyu.edu/~ylclab/data/norb-v1.0-small
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small"
    published_size: ClassVar[str] = "262,778,180 bytes for all six files, each packed or unpacked"
    files: ClassVar[Mapping[str, str | None]] = {
        _TRAIN.format("dat"): "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
        _TRAIN.format("cat"): "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
        _TRAIN.format("info"): "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
        _TEST.format("dat"): "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
        _TEST.format("cat"): "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
        _TEST.format("info"): "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
    }
    factors: ClassVar[Mapping[str, int]] = {
        "category": 5,
        "instance": 10,
        "elevation": 9,
        "azimuth": 18,
        "lighting": 6,
    }
    names_of_values: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "category": ("animal", "human", "plane", "truck", "car")
    }
    name: Literal["smallnorb"] = "smallnorb"
    path: OperatorPath = "smallnorb"
    """The folder of the six files, relative to the data folder."""
    instance: bool = False
    """Whether the instance, a toy of its category, is a factor. Instance 3 of one category has
    nothing in common with instance 3 of another."""

    def known_factors(self) -> Mapping[str, Known] | None:
        known = super().known_factors() or {}
        return {name: one for name, one in known.items() if self.instance or name != "instance"}

    def complete_grid(self) -> bool:
        return self.instance

    def image_shape(self) -> tuple[int, int, int]:
        return 64, 64, 1

    def read(self, progress: Progress | None = None) -> Dataset:
        found, digest = self.found(), self.digest()
        sizes = tuple(self.factors.values())
        count = int(np.prod(sizes))
        rows = prepared(
            self.kept(digest),
            (count, *self.image_shape()),
            lambda: self._blocks(found, count // 2),
            progress,
        )
        labels = np.concatenate([_labels(found, half, count // 2) for half in (_TRAIN, _TEST)])
        chosen = self._in_order(found[_TRAIN.format("info")], labels, sizes)
        names = tuple(self.factors)
        keep = [at for at, name in enumerate(names) if self.instance or name != "instance"]
        return Dataset(
            name=self.name,
            storage=rows,
            chosen=chosen,
            image_shape=self.image_shape(),
            factor_names=tuple(names[at] for at in keep),
            factor_sizes=tuple(sizes[at] for at in keep),
            factor_values=self.names_of_values,
            labels="grid" if self.instance else labels[chosen][:, keep],
            source=digest,
        )

    def _blocks(self, found: Mapping[str, Path], count: int) -> Iterator[NDArray[np.uint8]]:
        shape = (count, 2, _PUBLISHED_SIDE, _PUBLISHED_SIDE)
        for half in (_TRAIN, _TEST):
            with opened(found[half.format("dat")]) as stream:
                _check_header(stream, _BYTES, shape)
                for pairs in stream.rows(shape):
                    yield np.stack([resized(pair[0], 64) for pair in pairs])[..., None]

    @staticmethod
    def _in_order(
        file: Path, labels: NDArray[np.int64], sizes: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """The rows in the order of the grid, of which each combination must occur once."""
        if (labels < 0).any() or (labels >= np.array(sizes)).any():
            wrong = np.flatnonzero(((labels < 0) | (labels >= np.array(sizes))).any(axis=1))[0]
            raise UnusableFile(
                file, f"expected factors below {sizes}, but image {wrong} has {labels[wrong]}"
            )
        index = np.ravel_multi_index(tuple(labels.T), sizes)
        order = np.argsort(index, kind="stable")
        if not np.array_equal(index[order], np.arange(len(labels))):
            raise UnusableFile(
                file, "expected every combination of factors once, but some occur twice"
            )
        return order


def _labels(found: Mapping[str, Path], half: str, count: int) -> NDArray[np.int64]:
    """Category, instance, elevation, azimuth and lighting of each image, (count, 5)."""
    category = _integers(found[half.format("cat")], (count,))
    information = _integers(found[half.format("info")], (count, 4))
    labels = np.column_stack([category, information])
    # Azimuths are numbered 0, 2, …, 34.
    if (labels[:, 3] % 2).any():
        raise UnusableFile(found[half.format("info")], "expected even azimuths, but got an odd one")
    labels[:, 3] //= 2
    return labels


def _integers(file: Path, shape: tuple[int, ...]) -> NDArray[np.int64]:
    with opened(file) as stream:
        _check_header(stream, _INTEGERS, shape)
        rows = np.concatenate(list(stream.rows((shape[0], *shape[1:], 4))))
    return rows.view("<i4").astype(np.int64).reshape(shape)


def _check_header(stream: Stream, magic: int, shape: tuple[int, ...]) -> None:
    """Check a matrix file's type and sizes. At least three sizes are stored, padded by ones."""
    kind, dimensions = np.frombuffer(stream.take(8), dtype="<i4").tolist()
    if (kind, dimensions) != (magic, len(shape)):
        raise UnusableFile(
            stream.file,
            f"expected a matrix of type {magic:#x} in {len(shape)} dimensions, but got {kind:#x}"
            f" in {dimensions}",
        )
    stored = np.frombuffer(stream.take(4 * max(3, len(shape))), dtype="<i4")
    sizes = tuple(islice(stored.tolist(), len(shape)))
    if sizes != shape:
        raise UnusableFile(stream.file, f"expected sizes {shape}, but got {sizes}")
