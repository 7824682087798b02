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
"""Told (images done, images in all) while a dataset is prepared; may raise to stop it."""


class MissingFile(FileNotFoundError):
    """A dataset's file is not where the operator should have put it."""

    def __init__(self, file: Path, *, size: str, published: str, sha256: str | None = None) -> None:
        self.file, self.size, self.published, self.sha256 = file, size, published, sha256
        checksum = f"sha256 {sha256}" if sha256 else "checksum not known here"
        super().__init__(
            f"there is no file {file}. Put it there ({size}, {checksum}; the data folder is"
            f" {data_folder()}). It is published at {published}"
        )


class UnusableFile(ValueError):
    """A dataset's file is there but does not hold what it should."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file.name} cannot be used: {reason}")


class NotAGrid(LookupError):
    """Images were asked for by their factors, but only a full grid has one for every choice."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a full grid of its factors: choose its images by index")


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images as they lie in memory or on disk, ready to be gathered by index."""

    name: str
    storage: NDArray[np.uint8]
    """(n, h, w, c) bytes; or, if packed, one row of bits an image in the order of
    `numpy.packbits`: (n, ceil(h*w*c / 8))."""
    packed: bool = False
    image_shape: tuple[int, int, int]
    """(h, w, c)."""
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    """How many values each factor has; they are numbered from 0."""
    labels: NDArray[np.int64] | Literal["grid"] | None
    """The factors of each image, (n, factors); "grid" when every combination is there once, the
    last factor changing fastest, so that an image's index says its factors; None if unknown."""
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
        """Whether every combination of the factors is there exactly once."""
        return isinstance(self.labels, str)

    def images(
        self, index: ArrayLike | slice
    ) -> UInt8[np.ndarray, "samples height width *channels"]:
        """The chosen images, without an axis of channels where they have a single one.

        Args:
            index: integers from 0 to len - 1 in one dimension (a single one is a batch of one),
                or a slice.

        Raises:
            IndexError: for anything else, naming what came.
        """
        rows = self.storage[self._positions(index)]
        if self.packed:
            rows = np.unpackbits(rows, axis=1, count=math.prod(self.image_shape))
        height, width, channels = self.image_shape
        shape = (height, width) if channels == 1 else self.image_shape
        return rows.reshape(len(rows), *shape)

    def factors(self, index: ArrayLike | slice) -> Int64[np.ndarray, "samples factors"] | None:
        """The factors of the chosen images, or None where they are unknown.

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
        """Where in a full grid the images with these factors lie: (n, factors) to (n,).

        Raises:
            NotAGrid: if some combinations of factors have no image, or several.
            IndexError: if a factor has no such value.
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
    """What a dataset is made of, and how to open it.

    One that is read from a file gives the file's SHA-256 in place of its path in `identity`, since
    the same path may hold other data tomorrow.
    """

    kind: ClassVar[str] = "dataset"
    not_recoverable: ClassVar[Mapping[str, str]] = {}
    """Factors that no encoder can tell fully from an image, and why."""

    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, known before the data are opened."""

    @abstractmethod
    def open(self, progress: Progress | None = None) -> Dataset:
        """The dataset, prepared first where it must be.

        Raises:
            MissingFile: if the operator has yet to put a file in its place.
            UnusableFile: if that file does not hold what it should.
        """


def dataset(name: str, **params: Any) -> Dataset:
    """Open the dataset of this name, preparing it first if this has not been done.

    Raises:
        UnknownComponent: if there is no such dataset, with the nearest name there is.
        pydantic.ValidationError: if a parameter is unknown or out of range.
        MissingFile, UnusableFile: as `DatasetComponent.open`.
    """
    component = cast(type[DatasetComponent], find(DatasetComponent.kind, name))
    return component.model_validate({**params, "name": name}).open()


def data_folder() -> Path:
    """The folder of operators' files and prepared data: HEDDLE_DATA, else data in HEDDLE_HOME."""
    chosen = os.environ.get("HEDDLE_DATA")
    home = os.environ.get("HEDDLE_HOME") or ".heddle"
    return (Path(chosen) if chosen else Path(home) / "data").absolute()


def operator_file(path: str) -> Path:
    """The file that an `OperatorPath` means."""
    return data_folder() / path


def _stays_in_data_folder(path: str, info: ValidationInfo) -> str:
    if not path or "\0" in path:
        raise ValueError(f"expected the path of a file, but got {path!r}")
    # Read by the rules of Windows, which take both kinds of slash and know drives as well.
    parts = PureWindowsPath(path)
    if (info.context or {}).get("remote") and (parts.anchor or ".." in parts.parts):
        raise ValueError(
            f"the path is relative to the server's data folder and stays in it, but got {path!r}"
        )
    return path


OperatorPath = Annotated[str, AfterValidator(_stays_in_data_folder)]
"""A file that the operator put in place, relative to `data_folder()`.

Python callers may also give an absolute path or go upwards. Values of HTTP clients are validated
with the context `{"remote": True}`, which keeps them inside the folder.
"""


def in_unit_range(
    data: Dataset, index: Int[np.ndarray, "samples"]
) -> Float[np.ndarray, "samples height width channels"]:
    """The data set's images, white being 1."""
    images = data.images(index).reshape(-1, *data.image_shape)
    scaled: np.ndarray = images.astype(np.float32) / data.max_value
    return scaled
