"""Files made to break what reads them: they are refused, at little cost, or read right."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest

from ml.datasets.tables import _archive
from ml.datasets.tables.importing import import_table
from ml.datasets.tables.options import UnusableTable
from tests.ml.datasets.tables.image_files import folder_of, picture, png, zip_of

FOUR = [f"{k}.png" for k in range(4)]
IMAGES = np.stack([picture(k) for k in range(4)])


def refused(path: Path, tmp_path: Path) -> str:
    into = tmp_path / "tables"
    with pytest.raises(UnusableTable) as error:
        import_table(path, into=into)
    assert list(into.iterdir()) == []
    return str(error.value)


def test_every_damaged_byte_of_an_image_is_refused_or_decoded(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "faces", FOUR[:2])
    rng = np.random.default_rng(0)
    for format in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = png(picture(0), format)
        for _ in range(15):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 400), 3):
                data[place] = rng.integers(0, 256)
            (source / "0.png").write_bytes(data)
            try:
                import_table(source, into=tmp_path / "tables")
            except UnusableTable:
                continue


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_every_damaged_byte_of_an_array_is_refused_or_read(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        np.savez(file, images=IMAGES, y=np.arange(4))
    else:
        with h5py.File(file, "w") as made:
            made.create_dataset("images", data=IMAGES, compression="gzip")
            made["y"] = ["a", "b", "c", "d"]
    whole = file.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 4) if suffix == "h5" else rng.integers(0, 500, 2):
            data[place] = rng.integers(0, 256)
        file.write_bytes(data)
        try:
            import_table(file, into=tmp_path / "tables")
        except UnusableTable:
            continue


@pytest.mark.parametrize("header", ["(-4, -16, 16, 3)", "(4, 16, 16, -3)"])
def test_negative_lengths(header: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, IMAGES)
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': " + header.encode() + b", }"
    data = file.getvalue()
    data = data[:10] + text.ljust(117) + b"\n" + data[128:]
    zip_of(tmp_path / "a.npz", {"images.npy": data})
    assert "lengths" in refused(tmp_path / "a.npz", tmp_path)


def test_gigabytes_of_an_hdf5_file_that_it_does_not_hold(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", (4_000_000, 32, 32, 3), np.uint8, chunks=(64, 32, 32, 3))
    assert (tmp_path / "a.h5").stat().st_size < 100_000
    assert "of which the file holds 0" in refused(tmp_path / "a.h5", tmp_path)


def test_text_in_an_hdf5_file_that_is_no_text(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = IMAGES
        file.create_dataset("y", data=[b"\xff\xfe"] * 4, dtype=h5py.string_dtype())
    assert "file.y" in refused(tmp_path / "a.h5", tmp_path)


def test_folders_in_folders_without_end(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "faces", FOUR)
    deep = source / "/".join("a" * 40)
    deep.mkdir(parents=True)
    assert "folders in each other" in refused(source, tmp_path)


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "faces", FOUR)
    os.mkfifo(source / "4.png")
    assert "4.png" in refused(source, tmp_path)


def test_a_directory_of_members_that_would_fill_the_memory(tmp_path: Path) -> None:
    zip_of(tmp_path / "a.zip", {name: png(IMAGES[0]) for name in FOUR})
    with mock.patch.object(_archive, "MOST_DIRECTORY_BYTES", 100):
        assert "directory" in refused(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("kind", ["zip", "h5"])
def test_what_stops_an_import_is_not_blamed_on_the_file(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for k, name in enumerate(FOUR):
                archive.writestr(name, png(IMAGES[k]))
    else:
        with h5py.File(file, "w") as made:
            made["images"] = IMAGES

    def stop(done: int, images: int) -> None:
        raise OSError("no space left on the device")

    with pytest.raises(OSError, match="no space left"):
        import_table(file, into=tmp_path / "tables", progress=stop)
    assert list((tmp_path / "tables").iterdir()) == []
