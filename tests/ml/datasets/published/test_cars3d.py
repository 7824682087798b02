from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ml.datasets._prepared import digest_of
from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published.cars3d import Cars3D

SIZES = {"elevation": 2, "azimuth": 3, "object_type": 3}
MESHES = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3, 3, 2), dtype=np.uint8)
NAMES = ("car_001_mesh.mat", "car_002_mesh.mat", "car_010_mesh.mat")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cars3D, "factors", SIZES)


@pytest.fixture
def cars(folder: Path) -> Path:
    place = folder / "cars"
    place.mkdir()
    for name, mesh in zip(NAMES, MESHES, strict=True):
        mask = np.zeros((128, 128, 3, 2), dtype=np.uint8)
        savemat(place / name, {"im": mesh, "mask": mask}, do_compression=True)
    (place / "list.txt").write_text("car_001_mesh\n")
    (place / "._car_001_mesh.mat").write_bytes(b"what some systems leave behind")
    return place


def test_the_renders_of_each_car_are_found_by_their_factors(cars: Path) -> None:
    opened = dataset("cars3d")
    assert opened.is_grid and opened.factor_sizes == (2, 3, 3)
    assert opened.factor_names == ("elevation", "azimuth", "object_type")
    for elevation, azimuth, car in np.ndindex(2, 3, 3):
        render = Image.fromarray(MESHES[car, :, :, :, azimuth, elevation])
        # As disentanglement_lib makes them small.
        render.thumbnail((64, 64), Image.Resampling.LANCZOS)
        image = opened.images(opened.index([[elevation, azimuth, car]]))[0]
        np.testing.assert_array_equal(image, np.asarray(render))


def test_the_published_sizes_give_17_568_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert np.prod(list(Cars3D.factors.values())) == 17_568


def test_identity_follows_the_listing_and_the_source_the_contents(cars: Path) -> None:
    first = dataset("cars3d")
    identity = Cars3D().identity()
    (kept,) = cars.parent.glob("cars3d-*.bytes")
    assert first.source == digest_of(kept) and len(first.source) == 64
    assert Cars3D().identity() == identity
    savemat(cars / "car_011_mesh.mat", {"im": MESHES[0]})
    assert Cars3D().identity() != identity
    with pytest.raises(UnusableFile, match=r"expected 3 \.mat files, but got 4"):
        dataset("cars3d")


def test_an_absent_folder_says_where_to_put_it(folder: Path) -> None:
    with pytest.raises(MissingFile, match=r"no folder .*cars.*nips2015-analogy-data\.tar\.gz"):
        Cars3D().identity()


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"image": MESHES[0]}, "expected 'im' of uint8 .* but got none"),
        ({"im": MESHES[0].astype(np.int16)}, "but got int16"),
        ({"im": MESHES[0].astype(np.float64)}, "but got double"),
        ({"im": MESHES[0][:64]}, r"but got uint8 \(64, 128, 3, 3, 2\)"),
        ({"im": MESHES[0][..., :1]}, "but got uint8"),
    ],
)
def test_a_mesh_of_another_kind_is_refused(cars: Path, contents: dict[str, Any], said: str) -> None:
    savemat(cars / NAMES[1], contents, do_compression=True)
    with pytest.raises(UnusableFile, match=said):
        dataset("cars3d")
    assert not list(cars.parent.glob("*.bytes"))


def test_damaged_meshes_are_refused(cars: Path) -> None:
    file = cars / NAMES[1]
    whole = file.read_bytes()
    newer = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    flipped = whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:]
    for damaged in (whole[:-1000], whole[:200], whole[:64], b"", b"<html>404</html>", flipped):
        file.write_bytes(damaged)
        with pytest.raises(UnusableFile, match=r"damaged, or no \.mat file"):
            dataset("cars3d")
    file.write_bytes(newer + bytes(400))
    with pytest.raises(UnusableFile, match=r"MATLAB 7\.3"):
        dataset("cars3d")


def test_links_in_the_folder_are_not_followed(cars: Path) -> None:
    elsewhere = cars.parent / "elsewhere.mat"
    (cars / NAMES[1]).rename(elsewhere)
    (cars / NAMES[1]).symlink_to(elsewhere)
    with pytest.raises(UnusableFile, match=r"expected 3 \.mat files, but got 2"):
        dataset("cars3d")
