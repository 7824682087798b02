from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published import faces3d
from ml.datasets.published.faces3d import Faces3D

SIZES = {"identity": 2, "azimuth": 3, "elevation": 2, "lighting": 2}
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 2, 2, 64, 64), dtype=np.uint8)


class Trap:
    """Fails when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("the file was unpickled",))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faces3D, "factors", SIZES)


@pytest.mark.parametrize("archive", [True, False])
def test_files_of_both_formats_of_torch_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, archive: bool
) -> None:
    monkeypatch.setattr(faces3d, "IMAGES_AT_ONCE", 10)
    file = folder / "basel_face_renders.pth"
    torch.save(torch.from_numpy(IMAGES), file, _use_new_zipfile_serialization=archive)
    opened = dataset("faces3d")
    np.testing.assert_array_equal(opened.images(slice(None)), IMAGES.reshape(24, 64, 64))
    assert opened.factors([23]).tolist() == [[1, 2, 1, 1]]  # type: ignore[union-attr]
    assert opened.source == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_published_sizes_give_127_050_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert np.prod(list(Faces3D.factors.values())) == 127_050


def test_an_absent_file_says_which_it_is(folder: Path) -> None:
    with pytest.raises(MissingFile, match=r"basel_face_renders\.pth.*520 MB.*Basel face model"):
        Faces3D().identity()


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (torch.from_numpy(IMAGES).to(torch.int8), "but got int8"),
        (torch.from_numpy(IMAGES).reshape(24, 64, 64), r"but got uint8 \(24, 64, 64\)"),
        ({"images": torch.from_numpy(IMAGES)}, "expected one array, but got dict"),
        ([torch.from_numpy(IMAGES), Trap()], "no torch file of one array"),
        (torch.from_numpy(IMAGES[:1]), "expected 98304 bytes and a header, but got"),
    ],
)
@pytest.mark.parametrize("archive", [True, False])
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, contents: Any, said: str, archive: bool
) -> None:
    torch.save(contents, folder / "basel_face_renders.pth", _use_new_zipfile_serialization=archive)
    with pytest.raises(UnusableFile, match=said):
        dataset("faces3d")


@pytest.mark.parametrize("archive", [True, False])
def test_a_damaged_file_is_refused(folder: Path, archive: bool) -> None:
    file = folder / "basel_face_renders.pth"
    torch.save(torch.from_numpy(IMAGES), file, _use_new_zipfile_serialization=archive)
    whole = file.read_bytes()
    # Still longer than the values, but its end or its beginning is lost.
    file.write_bytes(whole[:-100])
    with pytest.raises(UnusableFile):
        dataset("faces3d")
    file.write_bytes(b"\0" * 100 + whole[100:])
    with pytest.raises(UnusableFile, match="no torch file of one array"):
        dataset("faces3d")


def test_a_file_that_is_too_large_is_not_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "basel_face_renders.pth").open("wb") as file:
        file.truncate(IMAGES.size + 2 * 2**20)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(UnusableFile, match="expected 98304 bytes and a header"):
        dataset("faces3d")
