"""The stored form of an image table: a folder of three files, named by the digest of its content.

`images.npy` has the pixels and is mapped, `factors.npz` has the labels, and `about.json` says what
was understood. A folder that has `about.json` is whole, as it got its name after all were written.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from ml.components.described import Described
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset, FactorKind
from ml.datasets.protocol import UnusableFile

ABOUT, IMAGES, FACTORS = "about.json", "images.npy", "factors.npz"
FORMAT = 1
MOST_LISTED = 1000
"""The most values of a factor that `About` names."""


class AboutFactor(Described):
    """What was understood of one factor."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: FactorKind
    size: int | None
    """How many values it has; null for a continuous factor."""
    values: list[str] | None
    """The names of its values, at most the first 1,000; null if they have none but their number."""
    unknown: int
    """For how many images it is not known."""


class About(Described):
    """What was understood of images and their table."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """The SHA-256 of all that was understood: pixels, factors, labels and names."""
    images: int
    shape: tuple[int, int, int]
    """Height, width and channels."""
    bytes: int
    """Of all pixels."""
    white: int
    """The value of a white pixel: 255, or 1 if no pixel has more."""
    factors: list[AboutFactor]
    labelled: int
    """For how many images all factors are known. Scores are of these."""
    grid: bool
    """Whether every combination of the factors occurs once, the last factor changing fastest."""
    taken: list[str]
    """What was taken for what, each a sentence."""
    odd: list[str]
    """What looks odd, each a sentence."""


def about_stored(folder: Path) -> About:
    """What was understood of a stored table.

    Raises:
        FileNotFoundError: there is no such table.
        UnusableFile: its files are damaged.
    """
    file = folder / ABOUT
    status = file.stat()
    return _about_version(file, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _about_version(file: Path, _inode: int, _mtime_ns: int) -> About:
    try:
        return About.model_validate_json(file.read_bytes())
    except ValueError as damage:
        raise UnusableFile(file, f"it does not describe a table ({damage})") from None


def known_factors(about: About) -> dict[str, Known]:
    """The factors, as far as `About` names their values."""
    return {
        one.name: Known(
            one.size if one.size is not None else about.images, one.kind, tuple(one.values or ())
        )
        for one in about.factors
    }


def open_stored(folder: Path, name: str) -> Dataset:
    """The stored images, mapped from their file, under a name.

    Raises:
        FileNotFoundError: there is no such table.
        UnusableFile: its files are damaged.
    """
    about = about_stored(folder)
    try:
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
        with np.load(folder / FACTORS, allow_pickle=False) as arrays:
            labels, sizes = arrays["labels"], tuple(map(int, arrays["sizes"]))
            values = json.loads(str(arrays["values"]))
    except (OSError, ValueError, KeyError, EOFError) as damage:
        raise UnusableFile(folder / IMAGES, f"it is damaged ({damage})") from None
    expected = (about.images, *about.shape)
    if images.dtype != np.uint8 or images.shape != expected:
        got = f"{images.dtype} {images.shape}"
        raise UnusableFile(folder / IMAGES, f"expected uint8 {expected}, but got {got}")
    grid = about.grid and math.prod(sizes) == about.images
    return Dataset(
        name=name,
        storage=np.asarray(images),
        image_shape=about.shape,
        factor_names=tuple(one.name for one in about.factors),
        factor_sizes=sizes,
        factor_kinds=tuple(one.kind for one in about.factors),
        factor_values={factor: tuple(names) for factor, names in values.items()},
        labels="grid" if grid else (labels if about.factors else None),
        max_value=about.white,
        source=about.digest,
        notes=tuple(about.odd),
    )
