from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.published import celeba
from ml.datasets.published.celeba import CelebA

NAMES = [f"{number:06}.jpg" for number in range(1, 8)]
ATTRIBUTES = [f"Attribute_{number}" for number in range(40)]
LABELS = np.random.default_rng(0).choice([-1, 1], (7, 40))


def table(labels: Any = LABELS, names: Any = NAMES, count: int = 7) -> str:
    """The table as published: values are aligned by spaces."""
    rows = [
        f"{name} {' '.join(f'{value:2}' for value in row)} \n"
        for name, row in zip(names, labels, strict=True)
    ]
    return f"{count}\n{' '.join(ATTRIBUTES)} \n{''.join(rows)}"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("photographs", 7), ("archive_sha256", None), ("table_sha256", None)):
        monkeypatch.setattr(CelebA, name, value)


@pytest.fixture
def faces(folder: Path) -> Path:
    """The folder of photographs as unpacked, beside the table."""
    photographs = folder / "celeba" / "img_align_celeba"
    photographs.mkdir(parents=True)
    (folder / "celeba" / "list_attr_celeba.txt").write_text(table())
    y, x = np.mgrid[:218, :178]
    for number, name in enumerate(NAMES):
        shades = np.stack([x, y, np.full_like(x, 30 * number)], axis=2).astype(np.uint8)
        Image.fromarray(shades).save(photographs / name, quality=95)
    return folder / "celeba"


def packed(faces: Path, *, leave_out: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(faces / "img_align_celeba.zip", "w", method) as archive:
        archive.writestr("img_align_celeba/", b"")
        for name in NAMES:
            if name != leave_out:
                archive.write(faces / "img_align_celeba" / name, f"img_align_celeba/{name}")
    return faces / "img_align_celeba.zip"


def test_photographs_are_cut_and_reduced_and_have_attributes(faces: Path) -> None:
    opened = dataset("celeba")
    assert opened.factor_names == tuple(ATTRIBUTES) and opened.factor_sizes == (2,) * 40
    np.testing.assert_array_equal(opened.factors(slice(None)), (LABELS + 1) // 2)
    photograph = Image.open(faces / "img_align_celeba" / NAMES[3]).crop((15, 35, 163, 183))
    expected = np.asarray(photograph.resize((64, 64), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(opened.images([3])[0], expected)
    assert not opened.is_grid


def test_the_archive_gives_the_same_images_as_its_folder(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celeba, "_READ_AT_ONCE", 3)
    unpacked = dataset("celeba")
    packed(faces)
    from_archive = dataset("celeba")
    np.testing.assert_array_equal(from_archive.storage, unpacked.storage)
    assert from_archive.source == unpacked.source


def test_absent_files_say_which_and_their_checksums(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HEDDLE_DATA", str(folder))
    with pytest.raises(MissingFile, match=r"list_attr_celeba\.txt.*sha256 f0e5da28.*mmlab"):
        CelebA().identity()
    (folder / "celeba").mkdir()
    (folder / "celeba" / "list_attr_celeba.txt").write_text(table())
    with pytest.raises(MissingFile, match=r"img_align_celeba\.zip.*1,443,490,838.*sha256 46fb8944"):
        CelebA().identity()
    assert CelebA.photographs == 202_599


def test_identity_changes_with_the_table_and_with_the_photographs(faces: Path) -> None:
    identities = [CelebA().identity()["path"]]
    (faces / "list_attr_celeba.txt").write_text(table(-LABELS))
    identities.append(CelebA().identity()["path"])
    (faces / "img_align_celeba" / NAMES[0]).unlink()
    identities.append(CelebA().identity()["path"])
    packed(faces, leave_out=NAMES[0])
    identities.append(CelebA().identity()["path"])
    assert len(set(identities)) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(count=8), "expected 7 in its first line, but got '8'"),
        (table(LABELS[:6], NAMES[:6]), "expected 7 photographs, but got 6"),
        (table([*LABELS, LABELS[0]], [*NAMES, "000008.jpg"]), "goes on after its 7"),
        (table(LABELS, [*NAMES[:6], NAMES[0]]), "of which 6 differ"),
        (table(LABELS * 0), "expected 40 values of -1 and 1 for 000001.jpg"),
        (table(LABELS[:, :39]), "expected 40 values of -1 and 1"),
        (table(LABELS, ["../../etc/passwd", *NAMES[1:]]), "expected the name of a photograph"),
        (table().replace("Attribute_3 ", "Attribute_4 "), "expected 40 different attributes"),
        ("\0" * 10_000, "in its first line"),
        ("", "in its first line"),
    ],
)
def test_another_table_is_refused(faces: Path, text: str, said: str) -> None:
    (faces / "list_attr_celeba.txt").write_text(text)
    with pytest.raises(UnusableFile, match=said):
        dataset("celeba")


def test_missing_damaged_and_other_photographs_are_refused(faces: Path) -> None:
    file = faces / "img_align_celeba" / NAMES[2]
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    with pytest.raises(UnusableFile, match=r"000003\.jpg is damaged, or no JPEG"):
        dataset("celeba")
    Image.new("RGB", (178, 178)).save(file)
    with pytest.raises(UnusableFile, match="unexpected size of 178 x 178"):
        dataset("celeba")
    file.unlink()
    with pytest.raises(UnusableFile, match=r"expected a photograph 000003\.jpg"):
        dataset("celeba")
    file.symlink_to(faces / "img_align_celeba" / NAMES[1])
    with pytest.raises(UnusableFile, match=r"expected a photograph 000003\.jpg"):
        dataset("celeba")


def test_archives_that_are_damaged_or_lead_out_are_refused(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = packed(faces)
    whole = file.read_bytes()
    file.write_bytes(whole[:-50])
    with pytest.raises(UnusableFile, match=r"damaged, or no \.zip archive"):
        dataset("celeba")
    flipped = bytearray(whole)
    flipped[2000] ^= 255
    file.write_bytes(flipped)
    with pytest.raises(UnusableFile, match=r"damaged, or no \.zip archive"):
        dataset("celeba")
    packed(faces, leave_out=NAMES[4])
    with pytest.raises(UnusableFile, match=r"expected a photograph img_align_celeba/000005\.jpg"):
        dataset("celeba")
    for name in ("../out.jpg", "/out.jpg", "a\\..\\out.jpg", "img_align_celeba/../../out.jpg"):
        with zipfile.ZipFile(packed(faces), "a") as archive:
            archive.writestr(name, b"")
        with pytest.raises(UnusableFile, match="leads out of it"):
            dataset("celeba")
    packed(faces)
    monkeypatch.setattr(celeba, "_PICTURE_BYTES_AT_MOST", 100)
    with pytest.raises(UnusableFile, match="more than 100"):
        dataset("celeba")


def test_another_checksum_than_the_published_one_is_refused(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = packed(faces)
    monkeypatch.setattr(CelebA, "archive_sha256", "0" * 64)
    with pytest.raises(UnusableFile, match=r"img_align_celeba\.zip.*sha256 0000"):
        dataset("celeba")
    monkeypatch.setattr(CelebA, "archive_sha256", hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(CelebA, "table_sha256", "1" * 64)
    with pytest.raises(UnusableFile, match=r"list_attr_celeba\.txt.*sha256 1111"):
        dataset("celeba")
    known = hashlib.sha256((faces / "list_attr_celeba.txt").read_bytes()).hexdigest()
    monkeypatch.setattr(CelebA, "table_sha256", known)
    assert len(dataset("celeba")) == 7
