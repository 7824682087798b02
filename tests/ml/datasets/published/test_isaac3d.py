from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published.isaac3d import Isaac3D

SIZES = (2, 1, 1, 1, 1, 2, 1, 1, 3)
RENDERS = np.random.default_rng(0).integers(0, 256, (12, 128, 128, 3), dtype=np.uint8)


def labels() -> Any:
    """Values as published, spread evenly over 0 to 1."""
    grid = np.stack(np.unravel_index(np.arange(12), SIZES), axis=1)
    return grid / np.maximum(np.array(SIZES) - 1, 1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Isaac3D, "factors", dict(zip(Isaac3D.factors, SIZES, strict=True)))


@pytest.fixture
def renders(folder: Path) -> Path:
    place = folder / "Isaac3D"
    (place / "images").mkdir(parents=True)
    np.save(place / "labels.npy", labels())
    for index, render in enumerate(RENDERS):
        Image.fromarray(render).save(place / "images" / f"{index:06}.png")
    return place


def test_renders_are_reduced_and_named_by_their_index(renders: Path) -> None:
    opened = dataset("isaac3d")
    assert opened.is_grid and opened.factor_sizes == SIZES
    reduced = [
        np.asarray(Image.fromarray(render).resize((64, 64), Image.Resampling.LANCZOS))
        for render in RENDERS
    ]
    np.testing.assert_array_equal(opened.images(slice(None)), reduced)


def test_the_large_renders_are_read_too(renders: Path) -> None:
    for file in (renders / "images").iterdir():
        Image.open(file).resize((512, 512), Image.Resampling.NEAREST).save(file)
    opened = dataset("isaac3d")
    assert opened.images([3]).shape == (1, 64, 64, 3)


def test_the_order_is_the_one_that_fits_the_published_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    sizes = tuple(Isaac3D.factors.values())
    steps = [int(np.prod(sizes[at + 1 :])) for at in range(9)]
    # index = a * 245760 + b * 30720 + c * 6144 + … on the page of the data set.
    assert steps == [245760, 30720, 6144, 1536, 384, 96, 16, 4, 1]
    assert np.prod(sizes) == 737_280


def test_an_absent_folder_and_absent_labels_say_where_to_put_them(folder: Path) -> None:
    with pytest.raises(MissingFile, match=r"no folder .*Isaac3D.*190 GB.*NVlabs/High-res"):
        Isaac3D().identity()
    (folder / "Isaac3D").mkdir()
    for ask in (Isaac3D().identity, Isaac3D().read):
        with pytest.raises(MissingFile, match=r"no file .*labels\.npy"):
            ask()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (labels()[:-1], r"expected numbers \(12, 9\), but got \(11, 9\)"),
        (labels()[::-1], "expected value 0 of object_shape at image 0, but got 1"),
        (labels().astype(str), "expected numbers"),
        (np.array([None] * 108).reshape(12, 9), "no numpy array"),
    ],
)
def test_other_labels_are_refused(renders: Path, changed: Any, said: str) -> None:
    np.save(renders / "labels.npy", changed)
    with pytest.raises(UnusableFile, match=said):
        dataset("isaac3d")


def test_missing_damaged_and_other_pictures_are_refused(renders: Path) -> None:
    file = renders / "images" / "000005.png"
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(UnusableFile, match=r"expected 12 images, but got 11; images/000005\.png"):
        dataset("isaac3d")
    for damaged in (whole[:-500], b"", b"GIF89a", whole[:40] + b"\0" * 99 + whole[139:]):
        file.write_bytes(damaged)
        with pytest.raises(UnusableFile, match=r"images/000005\.png is damaged, or no PNG"):
            dataset("isaac3d")
    Image.fromarray(RENDERS[0]).save(file, "JPEG")
    with pytest.raises(UnusableFile, match="no PNG"):
        dataset("isaac3d")
    Image.fromarray(RENDERS[0][:100]).save(file, "PNG")
    with pytest.raises(UnusableFile, match="unexpected size of 128 x 100"):
        dataset("isaac3d")
    shutil.copy(renders / "images" / "000004.png", renders / "images" / "000012.png")
    with pytest.raises(UnusableFile, match="expected 12 images, but got 13"):
        dataset("isaac3d")
    assert not list(renders.parent.glob("*.bytes"))
