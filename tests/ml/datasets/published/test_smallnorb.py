from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml.datasets.protocol import MissingFile, UnusableFile
from ml.datasets.published.smallnorb import SmallNorb

SIZES = {"category": 2, "instance": 2, "elevation": 2, "azimuth": 3, "lighting": 1}
SHAPE = tuple(SIZES.values())
TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training-{}.mat.gz"
TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing-{}.mat.gz"
RANDOM = np.random.default_rng(0)
ORDER = RANDOM.permutation(24)
GRID = np.stack(np.unravel_index(np.arange(24), SHAPE), axis=1)[ORDER]
PAIRS = RANDOM.integers(0, 256, (24, 2, 96, 96), dtype=np.uint8)


def matrix(values: Any, *, magic: int | None = None) -> bytes:
    """The format as the page of small NORB describes it: at least three sizes, little-endian."""
    kind = {1: 0x1E3D4C55, 4: 0x1E3D4C54}[values.dtype.itemsize] if magic is None else magic
    sizes = (*values.shape, *(1,) * (3 - values.ndim))
    return struct.pack(f"<ii{len(sizes)}i", kind, values.ndim, *sizes) + values.tobytes()


def contents() -> dict[str, bytes]:
    information = (GRID[:, 1:] * [1, 1, 2, 1]).astype("<i4")
    category = GRID[:, 0].astype("<i4")
    return {
        half.format(part): matrix(values[rows])
        for half, rows in ((TRAIN, slice(12)), (TEST, slice(12, None)))
        for part, values in (("dat", PAIRS), ("cat", category), ("info", information))
    }


def write(folder: Path, *, packed: bool = True, **changes: bytes) -> None:
    place = folder / "smallnorb"
    place.mkdir(exist_ok=True)
    for name, data in (contents() | changes).items():
        if packed:
            (place / name).write_bytes(gzip.compress(data, mtime=0))
        else:
            (place / name.removesuffix(".gz")).write_bytes(data)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallNorb, "factors", SIZES)
    monkeypatch.setattr(SmallNorb, "files", dict.fromkeys(contents()))


@pytest.mark.parametrize("packed", [True, False])
def test_both_halves_are_joined_and_sorted(folder: Path, packed: bool) -> None:
    write(folder, packed=packed)
    opened = SmallNorb(instance=True).read()
    assert opened.is_grid and opened.factor_sizes == SHAPE
    reduced = [
        np.asarray(Image.fromarray(pair[0]).resize((64, 64), Image.Resampling.LANCZOS))
        for pair in PAIRS
    ]
    np.testing.assert_array_equal(opened.images(ORDER), reduced)
    np.testing.assert_array_equal(opened.factors(ORDER), GRID)


def test_the_instance_is_no_factor_unless_it_is_asked_for(folder: Path) -> None:
    write(folder)
    opened = SmallNorb().read()
    assert opened.factor_names == ("category", "elevation", "azimuth", "lighting")
    assert not opened.is_grid and opened.factor_sizes == (2, 2, 3, 1)
    whole = SmallNorb(instance=True).read()
    np.testing.assert_array_equal(opened.images(slice(None)), whole.images(slice(None)))
    factors, expected = opened.factors(slice(None)), whole.factors(slice(None))
    assert factors is not None and expected is not None
    np.testing.assert_array_equal(factors, np.delete(expected, 1, axis=1))
    _, counts = np.unique(factors, axis=0, return_counts=True)
    assert set(counts) == {2}


def test_the_published_sizes_give_48_600_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert np.prod(list(SmallNorb.factors.values())) == 48_600
    assert list(SmallNorb.files) == list(contents())


def test_an_absent_file_says_which_and_its_checksum(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HEDDLE_DATA", str(folder))
    write(folder)
    (folder / "smallnorb" / TEST.format("cat")).unlink()
    with pytest.raises(MissingFile, match=r"testing-cat\.mat\.gz.*sha256 ecaf6d5b.*cs\.nyu\.edu"):
        SmallNorb().identity()


IMAGES, CATEGORY, INFORMATION = (TRAIN.format(part) for part in ("dat", "cat", "info"))
INFO = (GRID[:12, 1:] * [1, 1, 2, 1]).astype("<i4")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (IMAGES, matrix(PAIRS[:12])[:-1], "ends early"),
        (IMAGES, matrix(PAIRS[:12]) + b"\0", "goes on after"),
        (IMAGES, matrix(PAIRS[:11]), r"expected sizes \(12, 2, 96, 96\), but got \(11, 2"),
        (IMAGES, matrix(PAIRS[:12, 0]), "in 4 dimensions, but got 0x1e3d4c55 in 3"),
        (IMAGES, matrix(PAIRS[:12], magic=0x1E3D4C56), "but got 0x1e3d4c56 in 4"),
        (CATEGORY, matrix(GRID[:12, 0].astype("<i4") + 1), "expected factors below"),
        (CATEGORY, matrix(GRID[:11, 0].astype("<i4")), r"expected sizes \(12,\)"),
        (INFORMATION, matrix(INFO + np.array([0, 0, 1, 0], "<i4")), "expected even azimuths"),
        (INFORMATION, matrix(INFO * 0), "every combination of factors once"),
        (INFORMATION, matrix(INFO - 2), "expected factors below"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, name: str, data: bytes, said: str
) -> None:
    write(folder, **{name: data})
    with pytest.raises(UnusableFile, match=said):
        SmallNorb().read()


def test_a_truncated_archive_and_another_checksum_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    file = folder / "smallnorb" / IMAGES
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(UnusableFile, match="damaged or cut short"):
        SmallNorb().read()
    file.write_bytes(whole)
    known = hashlib.sha256(whole).hexdigest()
    monkeypatch.setattr(SmallNorb, "files", SmallNorb.files | {IMAGES: "0" * 64})
    with pytest.raises(UnusableFile, match="expected the published file with sha256 000"):
        SmallNorb().read()
    monkeypatch.setattr(SmallNorb, "files", SmallNorb.files | {IMAGES: known})
    assert len(SmallNorb().read()) == 24
