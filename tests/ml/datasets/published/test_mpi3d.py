from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.components.registry import find
from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published import _mpi3d
from ml.datasets.published.mpi3d_real import Mpi3dReal

FILES = {
    "mpi3d_toy": "mpi3d_toy.npz",
    "mpi3d_realistic": "mpi3d_realistic.npz",
    "mpi3d_real": "mpi3d_real.npz",
    "mpi3d_real_complex": "real3d_complicated_shapes_ordered.npz",
}
COUNTS = {name: 460_800 if "complex" in name else 1_036_800 for name in FILES}
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)


class Trap:
    """Fails when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("an array was unpickled",))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FILES:
        component = find("dataset", name)
        sizes = (2, 2, 1, 1, 1, 2, 3)
        factors = dict(zip(_mpi3d.Mpi3d.factors, sizes, strict=True))
        monkeypatch.setattr(component, "factors", factors)
        monkeypatch.setattr(component, "md5", None, raising=False)


@pytest.mark.parametrize("name", FILES)
def test_the_published_sizes_give_the_published_count(name: str) -> None:
    factors = find("dataset", name).factors  # type: ignore[attr-defined]
    assert np.prod(list(factors.values())) == COUNTS[name]
    assert list(factors)[-2:] == ["horizontal_axis", "vertical_axis"]
    values = find("dataset", name).names_of_values  # type: ignore[attr-defined]
    assert all(len(names) == factors[factor] for factor, names in values.items())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", FILES)
def test_the_index_gives_the_factors(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(_mpi3d, "IMAGES_AT_ONCE", 10)
    # What else an archive holds is not opened, whatever it is called.
    np.savez_compressed(folder / FILES[name], images=IMAGES, more=np.array(Trap(), dtype=object))
    with zipfile.ZipFile(folder / FILES[name], "a") as archive:
        archive.writestr("../out.npy", b"")
    opened = dataset(name)
    np.testing.assert_array_equal(opened.images(slice(None)), IMAGES)
    assert opened.factors([23, 3]).tolist() == [  # type: ignore[union-attr]
        [1, 1, 0, 0, 0, 1, 2],
        [0, 0, 0, 0, 0, 1, 0],
    ]
    assert opened.source == hashlib.sha256((folder / FILES[name]).read_bytes()).hexdigest()
    assert not (folder.parent / "out.npy").exists()


@pytest.mark.parametrize("name", FILES)
def test_an_absent_file_says_which_it_is(folder: Path, name: str) -> None:
    with pytest.raises(MissingFile, match="rr-learning/disentanglement_dataset") as missing:
        find("dataset", name).model_validate({"name": name}).identity()
    assert str(folder / FILES[name]) in str(missing.value)
    assert "checksum not known" in str(missing.value)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"imgs": IMAGES}, "expected an array 'images', but it holds imgs.npy"),
        ({"images": IMAGES[:-1]}, "expected 'images' of 294912 bytes"),
        ({"images": IMAGES.view(np.int8)}, "but got int8"),
        ({"images": IMAGES.reshape(24, 64, 3, 64)}, r"but got uint8 \(24, 64, 3, 64\)"),
        ({"images": np.array([Trap()] * 294912, dtype=object)}, "'images'"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, contents: dict[str, Any], said: str
) -> None:
    np.savez_compressed(folder / "mpi3d_real.npz", **contents)
    with pytest.raises(UnusableFile, match=said):
        dataset("mpi3d_real")
    assert not list(folder.glob("*.bytes"))


@pytest.mark.usefixtures("small")
def test_a_truncated_file_and_another_checksum_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "mpi3d_real.npz"
    np.savez(file, images=IMAGES)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    with pytest.raises(UnusableFile, match=r"damaged, or no \.npz archive"):
        dataset("mpi3d_real")
    file.write_bytes(whole)
    monkeypatch.setattr(Mpi3dReal, "md5", "0" * 32)
    with pytest.raises(UnusableFile, match="expected the published file with md5 000"):
        dataset("mpi3d_real")
