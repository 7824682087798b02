"""Tables that were once read without an error, as something else than they are."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.datasets.tables.importing import import_table
from ml.datasets.tables.options import UnusableTable
from ml.datasets.tables.stored import About, open_stored
from tests.ml.datasets.tables.image_files import csv_of, folder_of, picture

FOUR = [f"{k}.png" for k in range(4)]
IMAGES = np.stack([picture(k) for k in range(4)])


def imported(tmp_path: Path, source: Path, factors: Path | None = None) -> About:
    return import_table(source, factors, into=tmp_path / "tables")


def with_text(tmp_path: Path, text: str) -> About:
    (tmp_path / "labels.csv").write_text(text)
    return imported(tmp_path, folder_of(tmp_path / "faces", FOUR), tmp_path / "labels.csv")


def test_one_decimal_comma_among_whole_numbers_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UnusableTable, match="decimal points"):
        with_text(tmp_path, "file;x\n0.png;1,5\n1.png;2\n2.png;2\n3.png;1,5\n")


@pytest.mark.parametrize("first", ["0.png,0.5", "0.png,class"])
def test_a_first_row_of_data_is_no_header(first: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableTable, match="a first row that names the columns"):
        with_text(tmp_path, f"{first}\n1.png,1\n2.png,2\n3.png,3\n")


def test_numbers_with_a_few_texts_are_said_to_be_text(tmp_path: Path) -> None:
    about = with_text(tmp_path, "file,x\n0.png,1\n1.png,2\n2.png,1\n3.png,unsure\n")
    assert any(said.startswith("x has numbers and text, as unsure") for said in about.odd)


def test_blanks_before_quotes_are_no_part_of_a_value(tmp_path: Path) -> None:
    about = with_text(tmp_path, 'file, x\n0.png, "a, b"\n1.png, "a, b"\n2.png, "c"\n3.png, "c"\n')
    assert about.factors[0].values == ["a, b", "c"]


def test_a_header_in_a_comment_names_the_columns(tmp_path: Path) -> None:
    about = with_text(tmp_path, "# x,y\n0,1\n1,0\n0,0\n1,1\n")
    assert [one.name for one in about.factors] == ["x", "y"]


@pytest.mark.parametrize("column", ["image_id", "File"])
def test_names_of_digits_are_names(column: str, tmp_path: Path) -> None:
    names = [f"{k:08}.png" for k in (7, 8, 1234567, 1234568)]
    source = folder_of(tmp_path / "faces", names)
    # In the opposite order of the images.
    cells = [(int(name[:-4]), k) for k, name in enumerate(names)][::-1]
    about = imported(tmp_path, source, csv_of(tmp_path / "l.csv", [(column, "size"), *cells]))
    assert [one.name for one in about.factors] == ["size"]
    labels = open_stored(tmp_path / "tables" / about.digest, "mine").factors(range(4))
    assert labels is not None and labels[:, 0].tolist() == [0, 1, 2, 3]


def test_an_unnamed_index_of_file_names_is_used_and_one_of_numbers_is_not(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "faces", FOUR)
    file = tmp_path / "labels.parquet"
    sizes = [3, 2, 1, 0]
    pq.write_table(pa.table({"size": sizes, "__index_level_0__": FOUR[::-1]}), file)
    about = imported(tmp_path, source, file)
    labels = open_stored(tmp_path / "tables" / about.digest, "mine").factors(range(4))
    assert labels is not None and labels[:, 0].tolist() == [0, 1, 2, 3]
    pq.write_table(pa.table({"size": sizes, "__index_level_0__": [0, 1, 0, 1]}), file)
    assert [one.name for one in imported(tmp_path, source, file).factors] == ["size"]


def test_numbers_that_floats_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    labels = np.array([2**53, 2**53 + 1, 2**53 + 2, 0])
    np.savez(tmp_path / "a.npz", images=IMAGES, code=labels)
    with pytest.raises(UnusableTable, match="2\\^53"):
        imported(tmp_path, tmp_path / "a.npz")


def test_colours_of_16_bits_are_not_cut_to_8(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    source = folder_of(tmp_path / "faces", FOUR)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(16 * 6)) * 16)
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (source / "0.png").write_bytes(data)
    with pytest.raises(UnusableTable, match="8 bits"):
        imported(tmp_path, source)


def test_folders_of_different_depths_are_said_to_be_no_factors(tmp_path: Path) -> None:
    about = imported(tmp_path, folder_of(tmp_path / "faces", ["a/0.png", "b/c/1.png", "2.png"]))
    assert about.factors == []
    assert any("different depths" in said for said in about.odd)


def test_a_scalar_is_no_array_of_factors(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez(file, images=IMAGES, y=np.float64(3))
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    with pytest.raises(UnusableTable, match=r"factors\.y"):
        imported(tmp_path, tmp_path / "a.npz")
