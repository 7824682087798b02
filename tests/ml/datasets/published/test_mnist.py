from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from ml.datasets.protocol import DatasetComponent, MissingFile, UnusableFile
from ml.datasets.published.fashion_mnist import FashionMnist
from ml.datasets.published.mnist import Mnist

COUNTS = {"train": 6, "t10k": 4}
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2, 7, 2, 1, 0], dtype=np.uint8)
BOTH = pytest.mark.parametrize("component", [Mnist, FashionMnist])


def idx(values: np.ndarray, sizes: tuple[int, ...] | None = None, kind: int = 8) -> bytes:
    """The format as the page of MNIST describes it: big-endian sizes, then the bytes."""
    header = bytes([0, 0, kind, values.ndim])
    return header + np.array(sizes or values.shape, dtype=">u4").tobytes() + values.tobytes()


def contents() -> dict[str, bytes]:
    return {
        "train-images-idx3-ubyte.gz": idx(IMAGES[:6]),
        "train-labels-idx1-ubyte.gz": idx(LABELS[:6]),
        "t10k-images-idx3-ubyte.gz": idx(IMAGES[6:]),
        "t10k-labels-idx1-ubyte.gz": idx(LABELS[6:]),
    }


def write(folder: Path, *, packed: bool = True, **changes: bytes) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in (contents() | changes).items():
        if packed:
            (folder / name).write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(data)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for component in (Mnist, FashionMnist):
        monkeypatch.setattr(component, "counts", COUNTS)
        monkeypatch.setattr(component, "files", dict.fromkeys(contents()))


@BOTH
@pytest.mark.parametrize("packed", [True, False])
def test_images_of_both_parts_are_read_with_their_labels(
    folder: Path, component: type[DatasetComponent], packed: bool
) -> None:
    name = component.component_name()
    write(folder / name, packed=packed)
    opened = component.model_validate({"name": name, "size": 28}).read()
    np.testing.assert_array_equal(opened.images(slice(None)), IMAGES)
    assert opened.factors(slice(None))[:, 0].tolist() == LABELS.tolist()  # type: ignore[index]
    assert opened.factor_sizes == (10,) and len(opened.factor_values[opened.factor_names[0]]) == 10


def test_the_border_is_black_and_the_enlarged_image_is_that_of_32(folder: Path) -> None:
    write(folder / "mnist")
    padded = Mnist(size=32).read().images(slice(None))
    np.testing.assert_array_equal(padded[:, 2:-2, 2:-2], IMAGES)
    assert padded.sum() == IMAGES.sum(dtype=np.int64)
    large = Mnist().read()
    assert large.image_shape == Mnist().image_shape() == (64, 64, 1)
    # Bilinear, by hand: a new pixel is 9/16 of its old one, 3/16 of two and 1/16 of a fourth.
    old = padded[0].astype(float)
    at = (9 * old[9, 9] + 3 * old[8, 9] + 3 * old[9, 8] + old[8, 8]) / 16
    assert abs(large.images([0])[0, 18, 18] - at) <= 1


def test_the_published_counts_are_70_000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert sum(Mnist.counts.values()) == sum(FashionMnist.counts.values()) == 70_000


@BOTH
def test_an_absent_file_says_which_and_its_checksum(
    folder: Path, component: type[DatasetComponent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HEDDLE_DATA", str(folder))
    name = component.component_name()
    write(folder / name)
    (folder / name / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        MissingFile, match=r"t10k-labels-idx1-ubyte\.gz.*sha256 (f7ae60f9|67da17c7)"
    ):
        component.model_validate({"name": name}).identity()


def test_identity_is_of_the_files_and_not_of_their_place(folder: Path) -> None:
    write(folder / "mnist")
    write(folder / "elsewhere")
    assert Mnist().identity() == Mnist(path="elsewhere").identity()
    write(folder / "elsewhere", **{"t10k-labels-idx1-ubyte.gz": idx(LABELS[:4])})
    assert Mnist().identity() != Mnist(path="elsewhere").identity()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:6])[:-1], "ends early"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:6]) + b"\0", "goes on after"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:6])[:10], "ends early"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:5]), r"expected sizes \(6, 28, 28\), but got"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:6], (2**31 - 1, 28, 28)), "2147483647"),
        ("train-images-idx3-ubyte.gz", idx(IMAGES[:6], kind=13), "00 00 08 03, but got 00 00 0d"),
        ("train-labels-idx1-ubyte.gz", idx(LABELS[:5]), r"expected sizes \(6,\), but got \(5,\)"),
        ("train-labels-idx1-ubyte.gz", idx(LABELS[:6] + 5), "expected labels from 0 to 9"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    folder: Path, name: str, data: bytes, said: str
) -> None:
    write(folder / "mnist", **{name: data})
    with pytest.raises(UnusableFile, match=said):
        Mnist().read()


def test_a_truncated_archive_and_another_checksum_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "mnist")
    file = folder / "mnist" / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(UnusableFile, match="damaged or cut short"):
        Mnist().read()
    file.write_bytes(whole)
    known = {
        name: hashlib.sha256((folder / "mnist" / name).read_bytes()).hexdigest()
        for name in contents()
    }
    monkeypatch.setattr(Mnist, "files", known | {"t10k-images-idx3-ubyte.gz": "0" * 64})
    with pytest.raises(
        UnusableFile, match=r"t10k-images.*expected the published file with sha256 000"
    ):
        Mnist().read()
    monkeypatch.setattr(Mnist, "files", known)
    assert len(Mnist().read()) == 10
