from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published import _grid, shapes3d
from ml.datasets.published.shapes3d import Shapes3D

SIZES = {"floor_hue": 2, "wall_hue": 1, "object_hue": 2, "scale": 3, "shape": 2, "orientation": 4}
SHAPE = tuple(SIZES.values())
IMAGES = np.random.default_rng(0).integers(0, 256, (96, 64, 64, 3), dtype=np.uint8)


def labels() -> Any:
    """Values as published: hues and scales from 0 to 1, orientations from -30 to 30."""
    grid = np.stack(np.unravel_index(np.arange(96), SHAPE), axis=1).astype(np.float64)
    grid[:, :3] /= 10
    grid[:, 3] = 0.75 + grid[:, 3] / 14
    grid[:, 5] = -30 + 20 * grid[:, 5]
    return grid


def write(file: Path, **changes: Any) -> None:
    with h5py.File(file, "w") as archive:
        for name, values in ({"images": IMAGES, "labels": labels()} | changes).items():
            if values is not None:
                archive.create_dataset(name, data=values, compression="gzip")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes3D, "factors", SIZES)
    monkeypatch.setattr(Shapes3D, "sha256", None)


@pytest.mark.parametrize("chunks", [(1, 64, 64, 3), (7, 16, 16, 3), (96, 64, 64, 3)])
def test_images_are_read_in_order_and_named_by_the_files_digest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chunks: tuple[int, ...]
) -> None:
    monkeypatch.setattr(shapes3d, "IMAGES_AT_ONCE", 20)
    file = folder / "3dshapes.h5"
    with h5py.File(file, "w") as archive:
        archive.create_dataset("images", data=IMAGES, compression="gzip", chunks=chunks)
        archive.create_dataset("labels", data=labels())
    seen: list[tuple[int, int]] = []
    opened = Shapes3D().read(lambda done, count: seen.append((done, count)))
    np.testing.assert_array_equal(opened.images(slice(None)), IMAGES)
    assert opened.is_grid and opened.factor_sizes == SHAPE and opened.factor_names == tuple(SIZES)
    assert opened.source == hashlib.sha256(file.read_bytes()).hexdigest()
    assert Shapes3D().identity()["path"] == f"sha256:{opened.source}"
    assert seen[-1] == (96, 96) and len(seen) == (1 if chunks[0] == 96 else len(seen)) > 0
    assert opened.image_shape == Shapes3D().image_shape() == (64, 64, 3)


def test_the_published_sizes_are_those_of_the_480_000_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    assert list(Shapes3D.factors.values()) == [10, 10, 10, 8, 4, 15]
    assert np.prod(list(Shapes3D.factors.values())) == 480_000


def test_an_absent_file_says_where_to_put_it_and_its_checksum(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Shapes3D, "sha256", "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
    )
    for ask in (Shapes3D().read, Shapes3D().identity):
        with pytest.raises(MissingFile) as missing:
            ask()
        for fact in (
            str(folder / "3dshapes.h5"),
            "267,573,662",
            "sha256 0a0f6ed9",
            "google-deepmind/3d-",
        ):
            assert fact in str(missing.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": None}, "expected an array 'images', but it holds labels"),
        (
            {"images": IMAGES[:-1]},
            r"expected 'images' of uint8 \(96, 64, 64, 3\), but got uint8 \(95",
        ),
        ({"images": IMAGES.astype(np.int16)}, "but got int16"),
        ({"images": IMAGES[:, :32]}, r"but got uint8 \(96, 32, 64, 3\)"),
        ({"labels": labels()[:-1]}, r"expected 'labels' of float64 \(96, 6\)"),
        ({"labels": labels().astype(np.float32)}, "but got float32"),
        ({"labels": labels()[::-1]}, "expected value 0 of floor_hue at image 0, but got 1"),
        ({"labels": np.zeros((96, 6))}, "expected 2 values of floor_hue in its labels, but got 1"),
        ({"labels": np.full((96, 6), np.nan)}, "values of floor_hue"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    write(folder / "3dshapes.h5", **changes)
    with pytest.raises(UnusableFile, match=said):
        dataset("shapes3d")
    assert not list(folder.glob("*.bytes*.part")) and not list(folder.glob("*.bytes"))


def test_a_truncated_file_and_one_of_another_kind_are_refused(folder: Path) -> None:
    file = folder / "3dshapes.h5"
    write(file)
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(UnusableFile, match="damaged, or no HDF5 file"):
        dataset("shapes3d")
    file.write_text("<html>404</html>")
    with pytest.raises(UnusableFile, match="damaged, or no HDF5 file"):
        dataset("shapes3d")


def test_a_file_with_another_checksum_than_the_published_one_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "3dshapes.h5"
    write(file)
    monkeypatch.setattr(Shapes3D, "sha256", hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(dataset("shapes3d")) == 96
    monkeypatch.setattr(Shapes3D, "sha256", "0" * 64)
    write(file, more=np.zeros(1))
    for ask in (Shapes3D().identity, Shapes3D().read):
        with pytest.raises(UnusableFile, match="expected the published file with sha256 000"):
            ask()


def test_links_and_values_in_other_files_are_refused(folder: Path) -> None:
    other = folder / "other.h5"
    write(other)
    raw = folder / "raw.bin"
    raw.write_bytes(IMAGES.tobytes())
    layout = h5py.VirtualLayout(shape=IMAGES.shape, dtype=np.uint8)
    layout[:] = h5py.VirtualSource(str(other), "images", shape=IMAGES.shape)

    def external(archive: h5py.File) -> None:
        archive["images"] = h5py.ExternalLink(str(other), "images")

    def soft(archive: h5py.File) -> None:
        archive["pictures"] = IMAGES
        archive["images"] = h5py.SoftLink("/pictures")

    def raw_file(archive: h5py.File) -> None:
        archive.create_dataset(
            "images", IMAGES.shape, np.uint8, external=[(str(raw), 0, IMAGES.nbytes)]
        )

    def virtual(archive: h5py.File) -> None:
        archive.create_virtual_dataset("images", layout)

    def group(archive: h5py.File) -> None:
        archive.create_group("images")

    for make, said in (
        (external, "is a link to another place"),
        (soft, "is a link to another place"),
        (raw_file, "lie in other files"),
        (virtual, "lie in other files"),
        (group, "is no array"),
    ):
        with h5py.File(folder / "3dshapes.h5", "w") as archive:
            archive["labels"] = labels()
            make(archive)
        with pytest.raises(UnusableFile, match=said):
            dataset("shapes3d")


def test_filters_that_would_be_loaded_and_huge_chunks_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "3dshapes.h5"
    with h5py.File(file, "w") as archive:
        archive.create_dataset("images", data=IMAGES, compression="lzf")
        archive["labels"] = labels()
    with pytest.raises(UnusableFile, match="HDF5 filter 32000"):
        dataset("shapes3d")
    write(file)
    monkeypatch.setattr(shapes3d, "_CHUNK_BYTES_AT_MOST", 100)
    with pytest.raises(UnusableFile, match="more than 100"):
        dataset("shapes3d")


def test_labels_in_the_order_of_the_grid_pass() -> None:
    _grid.check_grid(Path("x"), labels(), tuple(SIZES), SHAPE)
