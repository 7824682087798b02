from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from ml.datasets.tables import _arrays
from ml.datasets.tables.importing import import_table
from ml.datasets.tables.options import Bounds, TableOptions, UnusableTable
from tests.ml.datasets.tables.image_files import SIDE, csv_of, folder_of, picture, png, zip_of

IMAGES = np.stack([picture(k) for k in range(4)])
FOUR = [f"{k}.png" for k in range(4)]


def refused(
    path: Path,
    tmp_path: Path,
    factors: Path | None = None,
    bounds: Bounds | None = None,
    **options: Any,
) -> str:
    """What is wrong, after making sure that nothing was kept."""
    into = tmp_path / "tables"
    with pytest.raises(UnusableTable) as error:
        import_table(path, factors, into=into, options=TableOptions(**options), bounds=bounds)
    assert list(into.iterdir()) == []
    return str(error.value)


def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "faces", FOUR)


def table(tmp_path: Path, *rows: tuple[object, ...]) -> Path:
    return csv_of(tmp_path / "labels.csv", rows)


@pytest.mark.parametrize(
    "name", ["../a.png", "/a.png", "a/../../b.png", "C:/a.png", "a\\b.png", "\\\\host\\a.png"]
)
def test_names_that_lead_out_of_an_archive(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, png(IMAGES[0]))
    assert "names that are relative" in refused(file, tmp_path)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/a.png").symlink_to("/etc/hostname")
    assert "a link a.png" in refused(tmp_path / "faces", tmp_path)
    info = zipfile.ZipInfo("a.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/hostname")
    assert "a link a.png" in refused(tmp_path / "a.zip", tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = h5py.ExternalLink("other.h5", "/x")
    assert "images: expected arrays and no links" in refused(tmp_path / "a.h5", tmp_path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["images"] = h5py.SoftLink("/images")
    assert "no links" in refused(tmp_path / "b.h5", tmp_path)


def test_a_name_twice_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", png(IMAGES[0]))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", png(IMAGES[1]))
    assert "each name once" in refused(tmp_path / "a.zip", tmp_path)


def test_an_archive_that_declares_less_than_it_has(tmp_path: Path) -> None:
    # The directory of the archive says 100 bytes; the member inflates to 10 million.
    file = zip_of(tmp_path / "a.zip", {"0.png": b"\0" * 10_000_000, "1.png": png(IMAGES[0])})
    data = file.read_bytes()
    declared = (10_000_000).to_bytes(4, "little")
    assert data.count(declared) == 2
    file.write_bytes(data.replace(declared, (100).to_bytes(4, "little")))
    assert refused(file, tmp_path, bounds=Bounds(file_bytes=1 << 20))


def test_an_archive_that_grows_too_much(tmp_path: Path) -> None:
    file = zip_of(tmp_path / "a.zip", {"0.png": b"\0" * 1_000_000, "1.png": png(IMAGES[0])})
    data = file.read_bytes()
    huge = (4_000_000_000).to_bytes(4, "little")
    file.write_bytes(data.replace((1_000_000).to_bytes(4, "little"), huge))
    assert "at most 1032 times as many" in refused(file, tmp_path)
    assert "at most 1000 bytes" in refused(
        zip_of(tmp_path / "b.zip", {"0.png": png(IMAGES[0]), "1.png": png(IMAGES[1])}),
        tmp_path,
        bounds=Bounds(stored_bytes=1000),
    )


def npy(header: dict[str, Any], data: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def test_gigabytes_that_are_declared_and_not_there(tmp_path: Path) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (10_000_000, 32, 32, 1)}
    file = zip_of(tmp_path / "a.npz", {"images.npy": npy(header, b"\0" * 4096)})
    assert "images: expected 10240000" in refused(file, tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened.create_dataset("images", (10_000_000, 32, 32, 1), np.uint8, chunks=(1, 32, 32, 1))
    assert "expected at most 5000000" in refused(tmp_path / "a.h5", tmp_path)
    assert "at most 1000000 bytes" in refused(
        tmp_path / "a.h5", tmp_path, bounds=Bounds(images=10**8, stored_bytes=10**6)
    )


def test_a_chunk_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_arrays, "MOST_CHUNK_BYTES", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened.create_dataset("images", data=IMAGES, chunks=(4, SIDE, SIDE, 3))
    assert "chunks of at most 1000 bytes" in refused(tmp_path / "a.h5", tmp_path)


def test_pickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}, None], dtype=object))
    assert "an array of images" in refused(tmp_path / "a.npz", tmp_path)
    objects = np.empty((4, SIDE, SIDE), dtype=object)
    np.savez(tmp_path / "b.npz", images=objects)
    assert "pickled objects" in refused(tmp_path / "b.npz", tmp_path)
    np.savez(tmp_path / "c.npz", images=IMAGES, factors=np.array([1, "a", 2, 3], dtype=object))
    assert "factors: expected numbers or text, got 'pickled objects'" in refused(
        tmp_path / "c.npz", tmp_path
    )


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.full((4, SIDE, SIDE), np.nan), "pixels of NaN"),
        (np.full((4, SIDE, SIDE), 255.0), "floats from 0 to 1, got 'pixels of 0 to 255'"),
        (np.full((4, SIDE, SIDE), -0.5), "floats from 0 to 1"),
        (np.zeros((4, SIDE, SIDE), dtype=np.int64), "pixels of int64"),
        (np.zeros((4, SIDE, SIDE), dtype=np.uint16), "pixels of uint16"),
        (np.zeros((4, SIDE, SIDE, 4), dtype=np.uint8), "with 1 or 3 channels"),
        (np.zeros((4, SIDE), dtype=np.uint8), "an array of images"),
        (np.zeros((4, 8, 8), dtype=np.uint8), "16 to 128 pixels"),
        (np.zeros((4, 200, 200), dtype=np.uint8), "16 to 128 pixels"),
        (np.zeros((1, SIDE, SIDE), dtype=np.uint8), "at least 2"),
        (np.zeros((0, SIDE, SIDE), dtype=np.uint8), "at least 2"),
        (np.asfortranarray(IMAGES), "C order"),
    ],
)
def test_arrays_that_are_no_images(images: np.ndarray, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=images)
    assert said in refused(tmp_path / "a.npz", tmp_path)


def test_several_arrays_that_may_be_the_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=IMAGES, right=IMAGES)
    assert "images_key: expected the array of images, one of left, right" in refused(
        tmp_path / "a.npz", tmp_path
    )
    assert "images_key" in refused(tmp_path / "a.npz", tmp_path, images_key="middle")


def test_files_that_end_early_or_are_something_else(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    assert "zip archive" in refused(tmp_path / "a.npz", tmp_path)
    # The directory is whole, and the data are not what it says.
    middle = len(whole) // 2
    broken = whole[:middle] + bytes(64) + whole[middle + 64 :]
    (tmp_path / "b.npz").write_bytes(broken)
    assert "a whole array" in refused(tmp_path / "b.npz", tmp_path)
    (tmp_path / "c.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "HDF5" in refused(tmp_path / "c.h5", tmp_path)
    (tmp_path / "d.txt").write_text("hello")
    assert "a folder, a zip archive" in refused(tmp_path / "d.txt", tmp_path)
    assert "that exists" in refused(tmp_path / "none", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "got 'nothing'" in refused(tmp_path / "empty", tmp_path)


def test_images_that_cannot_be_decoded(tmp_path: Path) -> None:
    faces = folder(tmp_path)
    data = png(IMAGES[0])
    (faces / "0.png").write_bytes(data[: len(data) // 2])
    assert "file.0.png: expected a whole image" in refused(faces, tmp_path)
    (faces / "0.png").write_text("<svg/>")
    assert "file.0.png: expected an image" in refused(faces, tmp_path)
    frames = [Image.fromarray(one) for one in IMAGES]
    frames[0].save(faces / "0.gif", save_all=True, append_images=frames[1:])
    (faces / "0.png").unlink()
    assert "an animation" in refused(faces, tmp_path)
    (faces / "0.gif").unlink()
    Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint16)).save(faces / "0.png")
    assert "8 bits for each channel" in refused(faces, tmp_path)


def test_a_small_file_of_many_pixels(tmp_path: Path) -> None:
    faces = folder(tmp_path)

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return len(body).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    size = (12_000).to_bytes(4, "big")
    header = chunk(b"IHDR", size + size + bytes([8, 2, 0, 0, 0]))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    (faces / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    assert "expected at most 64000000 pixels, got '12000 x 12000'" in refused(faces, tmp_path)


def test_images_of_several_sizes_or_kinds(tmp_path: Path) -> None:
    faces = folder(tmp_path)
    (faces / "3.png").write_bytes(png(picture(3, side=20)))
    said = refused(faces, tmp_path)
    assert "0.png of 16 x 16, 3.png of 20 x 20" in said and "crop and resize" in said
    (faces / "3.png").write_bytes(png(picture(3, channels=1)))
    assert "3.png is grey, 0.png is coloured" in refused(faces, tmp_path)
    (faces / "3.png").write_bytes(png(picture(3)))
    assert "crop: expected at most the 16 x 16" in refused(faces, tmp_path, crop=20)
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 20, 30), dtype=np.uint8))
    assert "which is no square" in refused(tmp_path / "a.npz", tmp_path, resize=32)


TABLES: list[tuple[tuple[tuple[object, ...], ...], dict[str, Any], str]] = [
    ((("size",), (1,), (2,), (3,)), {}, "3 rows: expected"),
    ((("size",), *((k,) for k in range(5))), {}, "expected 4 rows, one for each image"),
    ((("file", "size"), ("0.png", 1), ("0.png", 2), ("1.png", 1)), {}, "each image once"),
    ((("file", "size"), ("a.png", 1), ("b.png", 2), ("c.png", 3)), {}, "names of the"),
    ((("file", "x"), ("0.png", 1), ("y", 2), ("z", 3)), {"index_column": "file"}, "rows that name"),
    ((("file", "size", "size"), ("0.png", 1, 2)), {}, "two columns size"),
    ((("name", "x"), ("1.png", 2)), {"index_column": "file"}, "a column of the table"),
    ((("file", "size"), ("0.png", 1, 2)), {}, "3 cells in row 2"),
    ((("1", "2"), (3, 4)), {}, "a first row that names the columns"),
    ((("file", ""), *((name, 3) for name in FOUR)), {}, "a name for each column"),
    ((("file", "x"), *((name, "1e999") for name in FOUR)), {}, "an infinite number"),
    ((("file", "x"), *((name, "0,5") for name in FOUR)), {}, "decimal points"),
    ((("file", "copy", "x"), *((name, name, 1) for name in FOUR)), {}, "one of file, copy"),
    ((("file", "x"), *((name, "a") for name in FOUR)), {"kinds": {"x": "continuous"}}, "a is text"),
    ((("file", "x"), *((name, 1) for name in FOUR)), {"kinds": {"y": "discrete"}}, "kinds.y"),
    ((), {}, "a first row that names the columns"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "options", "said"), TABLES, ids=[said for *_, said in TABLES])
def test_tables_that_do_not_fit(
    rows: tuple[tuple[object, ...], ...], options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    found = refused(folder(tmp_path), tmp_path, table(tmp_path, *rows), **options)
    assert said in found.replace("got '3 rows'", "3 rows: expected"), found


def test_a_table_without_names_when_names_sort_in_two_ways(tmp_path: Path) -> None:
    faces = folder_of(tmp_path / "faces", [f"{k}.png" for k in range(12)])
    rows = [("size",), *((k,) for k in range(12))]
    assert "names that sort in two ways" in refused(faces, tmp_path, table(tmp_path, *rows))
    # With leading zeros there is one order.
    padded = folder_of(tmp_path / "padded", [f"{k:02}.png" for k in range(12)])
    about = import_table(padded, table(tmp_path, *rows), into=tmp_path / "tables")
    assert "the rows of the table were taken in the order of the sorted file names" in about.taken


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.csv", lambda f: f.write_bytes("größe\n1\n".encode("latin-1")), "text in UTF-8"),
        ("a.csv", lambda f: f.write_bytes(b"a\0,b\n1,2\n"), "a zero byte"),
        ("a.csv", lambda f: f.write_bytes(b'a,"b\n1,2\n'), "a table of cells"),
        ("a.parquet", lambda f: f.write_bytes(b"PAR1 and no more"), "Parquet"),
        ("a.xlsx", lambda f: f.write_bytes(b"x"), "a table in .csv"),
    ],
)
def test_tables_that_cannot_be_read(
    name: str, write: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    assert said in refused(folder(tmp_path), tmp_path, tmp_path / name)


def test_a_table_that_is_too_large(tmp_path: Path) -> None:
    rows = [("file", "x"), *((name, 1) for name in FOUR)]
    bounds = Bounds(table_bytes=10)
    assert "at most 10 bytes" in refused(
        folder(tmp_path), tmp_path, table(tmp_path, *rows), bounds=bounds
    )


def test_names_of_no_image_are_not_taken_for_the_order(tmp_path: Path) -> None:
    rows = [("file", "x"), ("B", 1), ("A", 2), ("D", 3), ("C", 4)]
    said = refused(folder(tmp_path), tmp_path, table(tmp_path, *rows))
    assert "in a column that differs in each row" in said


def test_several_tables_among_the_images(tmp_path: Path) -> None:
    faces = folder(tmp_path)
    for name in ("a.csv", "b.csv"):
        csv_of(faces / name, [("file", "x"), *((one, 1) for one in FOUR)])
    assert "one table among the images" in refused(faces, tmp_path)
    import_table(faces, faces / "a.csv", into=tmp_path / "tables")
