from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published.chairs3d import Chairs3D

SIZES = {"model": 3, "elevation": 2, "azimuth": 4}
MODELS = ("0f3a", "a1", "b663f1e4df6c51fe19fb4103277a6b93")
AZIMUTHS = (11, 96, 187, 278)
RENDERS = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 150, 150, 3), dtype=np.uint8)


def name(elevation: int, azimuth: int) -> str:
    number = 1 + 4 * elevation + azimuth
    return f"image_{number:03}_p{(20, 30)[elevation]:03}_t{AZIMUTHS[azimuth]:03}_r096.png"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chairs3D, "factors", SIZES)


@pytest.fixture
def chairs(folder: Path) -> Path:
    place = folder / "rendered_chairs"
    for model, elevation, azimuth in np.ndindex(3, 2, 4):
        renders = place / MODELS[model] / "renders"
        renders.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RENDERS[model, elevation, azimuth]).save(renders / name(elevation, azimuth))
    (place / "all_chair_names.mat").write_bytes(b"")
    return place


def test_the_middle_of_each_render_is_found_by_its_factors(chairs: Path) -> None:
    opened = dataset("chairs3d")
    assert opened.is_grid and opened.factor_names == ("model", "elevation", "azimuth")
    for model, elevation, azimuth in np.ndindex(3, 2, 4):
        middle = Image.fromarray(RENDERS[model, elevation, azimuth]).crop((25, 25, 125, 125))
        expected = np.asarray(middle.resize((64, 64), Image.Resampling.LANCZOS))
        image = opened.images(opened.index([[model, elevation, azimuth]]))[0]
        np.testing.assert_array_equal(image, expected)


def test_the_published_sizes_give_86_366_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert np.prod(list(Chairs3D.factors.values())) == 86_366


def test_an_absent_folder_says_where_to_put_it(folder: Path) -> None:
    with pytest.raises(MissingFile, match=r"no folder .*rendered_chairs.*rendered_chairs\.tar"):
        Chairs3D().identity()


def test_a_change_within_a_model_changes_the_identity(chairs: Path) -> None:
    identity = Chairs3D().identity()
    (chairs / MODELS[1] / "renders" / name(1, 2)).unlink()
    assert Chairs3D().identity() != identity


def test_incomplete_folders_are_refused(chairs: Path) -> None:
    file = chairs / MODELS[1] / "renders" / name(1, 2)
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(UnusableFile, match="expected 4 azimuths of a1 at elevation 30, but got 3"):
        dataset("chairs3d")
    twice = file.with_name("image_099_p030_t011_r096.png")
    twice.write_bytes(whole)
    with pytest.raises(UnusableFile, match="but got 3 in 4 files"):
        dataset("chairs3d")
    twice.unlink()
    for azimuth in (0, 1, 3):
        (chairs / MODELS[1] / "renders" / name(1, azimuth)).unlink()
    with pytest.raises(UnusableFile, match="expected 2 elevations of a1, but got 1"):
        dataset("chairs3d")
    for azimuth in range(4):
        (chairs / MODELS[1] / "renders" / name(0, azimuth)).unlink()
    with pytest.raises(UnusableFile, match="expected 3 models, but got 2"):
        dataset("chairs3d")


def test_a_model_turned_otherwise_than_the_first_is_refused(chairs: Path) -> None:
    file = chairs / MODELS[1] / "renders" / name(1, 2)
    file.rename(file.with_name("image_007_p030_t188_r096.png"))
    with pytest.raises(UnusableFile, match="expected a1 at elevation 30 and azimuth 187 degrees"):
        dataset("chairs3d")


def test_a_damaged_render_and_one_of_another_size_are_refused(chairs: Path) -> None:
    file = chairs / MODELS[2] / "renders" / name(0, 3)
    whole = file.read_bytes()
    file.write_bytes(whole[:-500])
    with pytest.raises(UnusableFile, match="is damaged, or no PNG"):
        dataset("chairs3d")
    Image.fromarray(RENDERS[0, 0, 0][:60, :60]).save(file)
    with pytest.raises(UnusableFile, match="unexpected size of 60 x 60"):
        dataset("chairs3d")
