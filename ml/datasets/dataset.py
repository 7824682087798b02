"""Opened data sets: images by index, with the factors of variation that made them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Int64, Shaped, UInt8
from numpy.typing import ArrayLike, NDArray

FactorKind: TypeAlias = Literal["discrete", "continuous"]
Paint: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.uint8]], NDArray[np.uint8]]
"""Makes images, uint8 (n, h, w, c), from the numbers of rows of `storage`, (n,), and the rows
themselves. The same row always gives the same image."""
UNKNOWN = -1
"""A discrete factor's value that is not known. That of a continuous factor is NaN."""


class NotAGrid(LookupError):
    """Images can be chosen by their factors only in a full grid, and this dataset is none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a full grid of its factors: choose its images by index")


class NoPopulation(ValueError):
    """Every image was to be scored, but the images are no complete grid of their factors."""

    advice = (
        "set evaluation.rows to a number; or choose images that are a complete grid by dataset.only"
        " alone, without dataset.without, images and keep_factors"
    )

    def __init__(self, name: str, found: str) -> None:
        super().__init__(
            "evaluation.rows is all, which needs every combination of the factors' values once,"
            f" but in the data set {name}, {found}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images in memory or on disk, ready to be gathered by index."""

    name: str
    storage: NDArray[np.uint8]
    """Bytes, (stored, h, w, c). If packed, each image is one row of bits in the order of
    `numpy.packbits`, and the shape is (stored, ceil(h*w*c / 8))."""
    packed: bool = False
    paint: Paint | None = None
    """How images are made of stored rows when they are gathered. It takes rows of any width, packed
    or not, and `packed` is false. If it is None, the rows are the images."""
    chosen: NDArray[np.int64] | None = None
    """The rows of `storage` that are this data set's images, in its order. None means all."""
    image_shape: tuple[int, int, int]
    """(h, w, c)."""
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    """How many values each factor has. Values of a discrete factor are numbered from 0."""
    factor_kinds: tuple[FactorKind, ...] = ()
    """Whether each factor is discrete or continuous. If it is not given, all are discrete."""
    factor_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the values of discrete factors are called, by the factor's name, if they have names."""
    labels: NDArray[np.int64] | NDArray[np.float64] | Literal["grid"] | None
    """The factors of each image, (n, factors), or None if they are unknown. "grid" means that every
    combination occurs once and the last factor changes fastest, so the index gives the factors.
    Labels are floating if a factor is continuous. A label that is not known is `UNKNOWN` or NaN."""
    weights: NDArray[np.float64] | None = None
    """How often training draws each image, (n,), up to a common factor. None means all alike."""
    max_value: int = 255
    """The value of a white pixel."""
    source: str
    """"rendered", a package's name, or the SHA-256 of the file it was read from."""
    notes: tuple[str, ...] = ()
    """What users should know about these data, each a sentence."""

    def __post_init__(self) -> None:
        pixels = math.prod(self.image_shape)
        row = (-(-pixels // 8),) if self.packed else self.image_shape
        if self.paint is not None:
            if self.packed:
                raise ValueError(
                    f"{self.name}: images that are painted are bytes, but packed is set"
                )
            row = self.storage.shape[1:]
        if self.storage.dtype != np.uint8 or self.storage.shape[1:] != row:
            raise ValueError(
                f"{self.name}: expected storage of uint8 (n, {', '.join(map(str, row))}),"
                f" but got {self.storage.dtype} {self.storage.shape}"
            )
        images, factors = len(self), len(self.factor_names)
        if not self.factor_kinds:
            object.__setattr__(self, "factor_kinds", ("discrete",) * factors)
        if not len(self.factor_sizes) == len(self.factor_kinds) == factors:
            raise ValueError(
                f"{self.name}: {self.factor_names} but sizes {self.factor_sizes}"
                f" and kinds {self.factor_kinds}"
            )
        if self.is_grid and math.prod(self.factor_sizes) != images:
            raise ValueError(f"{self.name}: {images} images are no grid of {self.factor_sizes}")
        if isinstance(self.labels, np.ndarray) and self.labels.shape != (images, factors):
            raise ValueError(
                f"{self.name}: expected labels ({images}, {factors}), but got {self.labels.shape}"
            )
        if self.weights is not None and self.weights.shape != (images,):
            raise ValueError(
                f"{self.name}: expected weights ({images},), but got {self.weights.shape}"
            )

    def __len__(self) -> int:
        return len(self.storage) if self.chosen is None else len(self.chosen)

    @property
    def is_grid(self) -> bool:
        """Whether every combination of the factors occurs exactly once."""
        return isinstance(self.labels, str)

    def check_population(self) -> None:
        """Make sure that every combination of the factors' values has one image, in any order.

        Raises:
            NoPopulation: some have none or several, or factors are unknown or continuous.
        """
        if found := self._incomplete():
            raise NoPopulation(self.name, found)

    def is_population(self) -> bool:
        """Whether every combination of the factors' values has one image, in any order."""
        return self._incomplete() is None

    def _incomplete(self) -> str | None:
        """Why the images are no complete grid, or None if they are one."""
        if self.labels is None or not self.factor_names:
            return "images have no factors"
        if not isinstance(self.labels, np.ndarray):
            return None
        for name, kind in zip(self.factor_names, self.factor_kinds, strict=True):
            if kind == "continuous":
                return f"the factor {name} is continuous"
        images, known = len(self), len(self.labelled())
        if known < images:
            return f"{images - known:,} of {images:,} images have an unknown factor"
        combinations = math.prod(self.factor_sizes)
        if combinations != images:
            return f"there are {images:,} images for {combinations:,} combinations"
        places = np.ravel_multi_index(tuple(self.labels.T), self.factor_sizes)
        if (different := len(np.unique(places))) < images:
            return f"{images:,} images have only {different:,} of {combinations:,} combinations"
        return None

    def labelled(self) -> Int64[np.ndarray, "samples"]:
        """Indices of the images whose factors are all known. Without factors there are none."""
        if self.labels is None or not self.factor_names:
            return np.empty(0, dtype=np.int64)
        if not isinstance(self.labels, np.ndarray):
            return np.arange(len(self))
        discrete = np.array([kind == "discrete" for kind in self.factor_kinds])
        unknown = np.isnan(self.labels) | (discrete & (self.labels == UNKNOWN))
        return np.flatnonzero(~unknown.any(axis=1))

    def stored(self, index: Int[np.ndarray, "samples"]) -> UInt8[np.ndarray, "samples *row"]:
        """The rows of images: bits if `packed`, else bytes, painted if need be.

        The index is not checked.
        """
        numbers = index if self.chosen is None else self.chosen[index]
        rows: np.ndarray = self.storage[numbers]
        return rows if self.paint is None else self.paint(numbers, rows)

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
        rows = self.stored(self._positions(index))
        if self.packed:
            rows = np.unpackbits(rows, axis=1, count=math.prod(self.image_shape))
        height, width, channels = self.image_shape
        shape = (height, width) if channels == 1 else self.image_shape
        return rows.reshape(len(rows), *shape)

    def factors(self, index: ArrayLike | slice) -> Shaped[np.ndarray, "samples factors"] | None:
        """The factors of the chosen images, or None if they are unknown.

        They are int64, or float64 if a factor is continuous.

        Raises:
            IndexError: as `images` does.
        """
        positions = self._positions(index)
        if self.labels is None:
            return None
        if isinstance(self.labels, np.ndarray):
            return self.labels[positions]
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


def in_unit_range(
    data: Dataset, index: Int[np.ndarray, "samples"]
) -> Float[np.ndarray, "samples height width channels"]:
    """The chosen images as float32 from 0 to 1, where 1 is white."""
    images = data.images(index).reshape(-1, *data.image_shape)
    scaled: np.ndarray = images.astype(np.float32) / data.max_value
    return scaled
