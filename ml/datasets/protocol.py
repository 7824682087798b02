"""Datasets: images, and the factors of variation that made them."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

import numpy as np
from jaxtyping import Float, Int, Int64, UInt8
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, ValidationInfo

from ml.components.component import Component
from ml.components.registry import find

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (images done, images in all) while a dataset is prepared. It may raise to stop it."""


class MissingFile(FileNotFoundError):
    """A dataset's file is missing: the operator has yet to put it in the data folder."""

    def __init__(self, file: Path, *, size: str, published: str, sha256: str | None = None) -> None:
        self.file, self.size, self.published, self.sha256 = file, size, published, sha256
        checksum = f"sha256 {sha256}" if sha256 else "checksum not known here"
        super().__init__(
            f"there is no file {file}. Put it there ({size}, {checksum}; the data folder is"
            f" {data_folder()}). It is published at {published}"
        )


class UnusableFile(ValueError):
    """A dataset's file exists but does not hold the data it should."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file.name} cannot be used: {reason}")


class NotAGrid(LookupError):
    """Images can be chosen by their factors only in a full grid, and this dataset is none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a full grid of its factors: choose its images by index")


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images in memory or on disk, ready to be gathered by index."""

    name: str
    storage: NDArray[np.uint8]
    """Bytes, (n, h, w, c). If packed, each image is one row of bits in the order of
    `numpy.packbits`, and the shape is (n, ceil(h*w*c / 8))."""
    packed: bool = False
    image_shape: tuple[int, int, int]
    """(h, w, c)."""
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    """How many values each factor has. Values are numbered from 0."""
    labels: NDArray[np.int64] | Literal["grid"] | None
    """The factors of each image, (n, factors), or None if they are unknown. "grid" means that every
    combination occurs once and the last factor changes fastest, so the index gives the factors."""
    max_value: int = 255
    """The value of a white pixel."""
    source: str
    """"rendered", a package's name, or the SHA-256 of the file it was read from."""

    def __post_init__(self) -> None:
        pixels = math.prod(self.image_shape)
        row = (-(-pixels // 8),) if self.packed else self.image_shape
        if self.storage.dtype != np.uint8 or self.storage.shape[1:] != row:
            raise ValueError(
                f"{self.name}: expected storage of uint8 (n, {', '.join(map(str, row))}),"
                f" but got {self.storage.dtype} {self.storage.shape}"
            )
        images, factors = len(self.storage), len(self.factor_names)
        if len(self.factor_sizes) != factors:
            raise ValueError(f"{self.name}: {self.factor_names} but sizes {self.factor_sizes}")
        if self.is_grid and math.prod(self.factor_sizes) != images:
            raise ValueError(f"{self.name}: {images} images are no grid of {self.factor_sizes}")
        if isinstance(self.labels, np.ndarray) and self.labels.shape != (images, factors):
            raise ValueError(
                f"{self.name}: expected labels ({images}, {factors}), but got {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.storage)

    @property
    def is_grid(self) -> bool:
        """Whether every combination of the factors occurs exactly once."""
        return isinstance(self.labels, str)

    def images(
        self, index: ArrayLike | slice
    ) -> UInt8[np.ndarray, "samples height width *channels"]:
        """The chosen images. An image with a single channel has no axis of channels.

        Args:
            index: integers from 0 to len - 1 in one dimension, or a slice. A single integer gives
                a batch of one image.

        Raises:
            IndexError: the index is anything else; the message names it.
        """
        rows = self.storage[self._positions(index)]
        if self.packed:
            rows = np.unpackbits(rows, axis=1, count=math.prod(self.image_shape))
        height, width, channels = self.image_shape
        shape = (height, width) if channels == 1 else self.image_shape
        return rows.reshape(len(rows), *shape)

    def factors(self, index: ArrayLike | slice) -> Int64[np.ndarray, "samples factors"] | None:
        """The factors of the chosen images, or None if they are unknown.

        Raises:
            IndexError: as `images` does.
        """
        positions = self._positions(index)
        if self.labels is None:
            return None
        if isinstance(self.labels, np.ndarray):
            return self.labels[positions].astype(np.int64, copy=False)
        return np.stack(np.unravel_index(positions, self.factor_sizes), axis=1).astype(np.int64)

    def index(self, factors: ArrayLike) -> Int64[np.ndarray, "samples"]:
        """Indices of the images with these factors in a full grid: (n, factors) to (n,).

        Raises:
            NotAGrid: some combinations of factors have no image, or several.
            IndexError: a factor has no such value.
        """
        if not self.is_grid:
            raise NotAGrid(self.name)
        values = np.asarray(factors)
        count = len(self.factor_sizes)
        if values.ndim != 2 or values.shape[1] != count or values.dtype.kind not in "iu":
            raise IndexError(
                f"expected integer factors (n, {count}), but got {values.dtype} {values.shape}"
            )
        for name, size, column in zip(self.factor_names, self.factor_sizes, values.T, strict=True):
            outside = column[(column < 0) | (column >= size)]
            if outside.size:
                raise IndexError(f"{name} {outside[0]} is not in {self.name}: 0 to {size - 1}")
        positions: NDArray[np.int64] = np.ravel_multi_index(tuple(values.T), self.factor_sizes)
        return positions

    def _positions(self, index: ArrayLike | slice) -> NDArray[np.int64]:
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)))
        positions = np.atleast_1d(np.asarray(index))
        if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
            raise IndexError(
                "expected a slice or integers in one dimension as index,"
                f" but got {positions.dtype} {positions.shape}"
            )
        outside = positions[(positions < 0) | (positions >= len(self))]
        if outside.size:
            raise IndexError(f"index {outside[0]} is not in {self.name}: 0 to {len(self) - 1}")
        return positions.astype(np.int64)


class DatasetComponent(Component):
    """The parameters of a dataset, and how to open it.

    A dataset that is read from a file has the file's SHA-256 in place of its path in `identity`,
    since the same path may hold other data tomorrow.
    """

    kind: ClassVar[str] = "dataset"
    not_recoverable: ClassVar[Mapping[str, str]] = {}
    """Factors that no encoder can fully recover from an image, each with the reason."""

    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, which are known before the data are opened."""

    @abstractmethod
    def open(self, progress: Progress | None = None) -> Dataset:
        """The dataset, which is prepared first if need be.

        Raises:
            MissingFile: the operator has yet to put a file in its place.
            UnusableFile: the file does not hold the data it should.
        """


def dataset(name: str, **params: Any) -> Dataset:
    """Open the dataset of this name, and prepare it first if need be.

    Raises:
        UnknownComponent: no dataset has this name; the error gives the nearest name.
        pydantic.ValidationError: a parameter is unknown or out of range.
        MissingFile, UnusableFile: as `DatasetComponent.open`.
    """
    component = cast(type[DatasetComponent], find(DatasetComponent.kind, name))
    return component.model_validate({**params, "name": name}).open()


def data_folder() -> Path:
    """The folder of operators' files and prepared data: HEDDLE_DATA, or HEDDLE_HOME/data."""
    chosen = os.environ.get("HEDDLE_DATA")
    home = os.environ.get("HEDDLE_HOME") or ".heddle"
    return (Path(chosen) if chosen else Path(home) / "data").absolute()


def operator_file(path: str) -> Path:
    """The file that an `OperatorPath` means."""
    return data_folder() / path


def _stays_in_data_folder(path: str, info: ValidationInfo) -> str:
    if not path or "\0" in path:
        raise ValueError(f"expected the path of a file, but got {path!r}")
    # The rules of Windows accept both kinds of slash, and drives as well.
    parts = PureWindowsPath(path)
    if (info.context or {}).get("remote") and (parts.anchor or ".." in parts.parts):
        raise ValueError(
            f"the path is relative to the server's data folder and stays in it, but got {path!r}"
        )
    return path


OperatorPath = Annotated[str, AfterValidator(_stays_in_data_folder)]
"""The path of a file that the operator put in place, relative to `data_folder()`.

Python callers may also give an absolute path, or one that leads out of the folder. Values from HTTP
clients are validated with the context `{"remote": True}`, which keeps them inside the folder.
"""


def in_unit_range(
    data: Dataset, index: Int[np.ndarray, "samples"]
) -> Float[np.ndarray, "samples height width channels"]:
    """The chosen images as float32 from 0 to 1, where 1 is white."""
    images = data.images(index).reshape(-1, *data.image_shape)
    scaled: np.ndarray = images.astype(np.float32) / data.max_value
    return scaled
