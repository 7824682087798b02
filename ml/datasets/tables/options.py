"""How images and their table are understood, within which bounds, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ml.components.described import Described
from ml.components.spec_errors import MOST_FAULTS, Fault, shown
from ml.datasets.dataset import FactorKind

SMALLEST_SIDE, LARGEST_SIDE = 16, 128
LONGEST_NAME = 100

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class UnusableTable(ValueError):
    """Images or their table cannot be understood for certain; `faults` lists why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)[:MOST_FAULTS]
        super().__init__("; ".join(str(fault) for fault in self.faults))


def unusable(path: str, got: object, expected: str) -> UnusableTable:
    """One fault as an error."""
    return UnusableTable([Fault(path, got, expected)])


@contextmanager
def damage_as_fault(path: str, expected: str) -> Iterator[None]:
    """Turn what a reader of files raises into a fault.

    On bytes that were made up, zipfile, zlib, numpy, h5py and Pillow raise a dozen kinds of errors.
    The context holds calls of readers alone, as errors of other origin are no fault of the file.
    """
    try:
        yield
    except UnusableTable:
        raise
    except Exception as damage:
        raise unusable(path, shown(str(damage) or type(damage).__name__), expected) from None


class Sizing(Described):
    """How images are brought to one size. The size is part of the identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: Annotated[int, Field(ge=SMALLEST_SIDE, le=4096)] | None = None
    """Cuts the square of this side from the middle of each image, before any resizing."""
    resize: Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)] | None = None
    """Resizes square images to this side, by Pillow's Lanczos filter."""


class TableOptions(Sizing):
    """How images and a table of factors are understood."""

    kinds: Annotated[Mapping[Name, FactorKind], Field(max_length=256)] = {}
    """Whether a factor is discrete or continuous, by its name. Without it, text and whole numbers
    are discrete, and other numbers are continuous."""
    channels: Literal[1, 3] | None = None
    """Makes all images grey (1) or coloured (3). By default they stay as they are."""
    images_key: Name | None = None
    """The array of an .npz or HDF5 file that has the images."""
    factors_key: Name | None = None
    """The array of an .npz or HDF5 file that has the factors."""
    index_column: Name | None = None
    """The column of the table that has the images' file names."""


@dataclass(frozen=True)
class Bounds:
    """The most that is read and stored. An operator lowers them for what comes over HTTP."""

    images: int = 5_000_000
    stored_bytes: int = 256 << 30
    """Of all images, one byte for each channel of a pixel."""
    file_bytes: int = 64 << 20
    """Of one image's file."""
    pixels: int = 64_000_000
    """Of one image before cropping and resizing."""
    table_bytes: int = 4 << 30
    columns: int = 256
