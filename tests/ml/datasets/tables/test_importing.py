from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from ml.datasets.dataset import UNKNOWN, Dataset
from ml.datasets.tables.importing import ASIDE, import_table, understood
from ml.datasets.tables.options import TableOptions
from ml.datasets.tables.stored import About, open_stored
from tests.ml.datasets.tables.image_files import SIDE, csv_of, folder_of, picture, png, zip_of

NAMES = [f"{k}.png" for k in range(12)]
COLOURS = ["red", "green", "blue"] * 4


def opened(about: About, into: Path) -> Dataset:
    return open_stored(into / about.digest, "faces")


def imported(path: Path, factors: Path | None, tmp_path: Path, **options: Any) -> Dataset:
    into = tmp_path / "tables"
    about = import_table(path, factors, into=into, options=TableOptions(**options))
    return opened(about, into)


def labels_of(data: Dataset) -> list[list[float]]:
    labels = data.factors(slice(None))
    assert labels is not None
    return [list(map(float, row)) for row in labels]


def test_a_folder_with_a_table_in_another_order(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "faces", NAMES)
    # 10.png comes before 2.png in text, and the table is shuffled.
    order = np.random.default_rng(0).permutation(12)
    rows = [
        ("file", "colour", "size", "angle"),
        *((NAMES[k], COLOURS[k], k % 4, k / 8) for k in order),
    ]
    data = imported(folder, csv_of(tmp_path / "labels.csv", rows), tmp_path)
    assert data.factor_names == ("colour", "size", "angle")
    assert data.factor_kinds == ("discrete", "discrete", "continuous")
    assert data.factor_values == {"colour": ("blue", "green", "red")}
    assert data.factor_sizes == (3, 4, 12) and data.image_shape == (SIDE, SIDE, 3)
    for k, image in enumerate(data.images(slice(None))):
        np.testing.assert_array_equal(image, picture(k))
    number = {"blue": 0, "green": 1, "red": 2}
    assert labels_of(data) == [[number[COLOURS[k]], k % 4, k / 8] for k in range(12)]


def test_one_content_has_one_digest_whatever_it_came_in(tmp_path: Path) -> None:
    rows = [("file", "size"), *((name, k % 3) for k, name in enumerate(NAMES))]
    table = csv_of(tmp_path / "labels.csv", rows)
    folder = folder_of(tmp_path / "faces", NAMES)
    zipped = {f"faces/{name}": png(picture(k)) for k, name in enumerate(NAMES)}
    zipped["faces/labels.csv"] = table.read_bytes()
    images, sizes = np.stack([picture(k) for k in range(12)]), np.arange(12) % 3
    np.savez(tmp_path / "faces.npz", images=images, size=sizes)
    with h5py.File(tmp_path / "faces.h5", "w") as file:
        file["group/images"] = np.moveaxis(images, 3, 1)
        file["group/size"] = sizes
    pd.DataFrame(rows[1:], columns=list(rows[0])).to_parquet(tmp_path / "labels.parquet")
    found = [
        understood(folder, table),
        understood(folder, tmp_path / "labels.parquet"),
        understood(zip_of(tmp_path / "faces.zip", zipped)),
        understood(tmp_path / "faces.npz"),
    ]
    assert len({one.digest for one in found}) == 1
    # An array in a group has its whole path as name.
    of_hdf5 = understood(tmp_path / "faces.h5")
    assert [one.name for one in of_hdf5.factors] == ["group/size"]
    assert of_hdf5.shape == (SIDE, SIDE, 3)
    assert "the second axis of the images was taken for their channels" in of_hdf5.taken


def test_a_dry_run_understands_the_same_and_keeps_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "faces", NAMES)
    dry = understood(folder)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["faces"]
    assert import_table(folder, into=tmp_path / "tables") == dry


def test_missing_rows_and_cells_are_unknown(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "faces", NAMES)
    rows = [
        ("file", "colour", "x"),
        ("0.png", "red", 0.5),
        ("1.png", "", 0.25),
        ("2.png", "blue", "NA"),
    ]
    about = import_table(folder, csv_of(tmp_path / "labels.csv", rows), into=tmp_path / "tables")
    data = opened(about, tmp_path / "tables")
    labels = data.factors(slice(None))
    assert labels is not None
    np.testing.assert_array_equal(labels[:4, 0], [1, UNKNOWN, 0, UNKNOWN])
    np.testing.assert_array_equal(labels[:4, 1], [0.5, 0.25, np.nan, np.nan])
    assert list(data.labelled()) == [0] and about.labelled == 1
    assert "9 images have no row, as 3.png" in about.odd
    assert "colour is not known for 10 of 12 images" in about.odd


def test_what_is_discrete_and_what_is_continuous(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "faces", NAMES)
    header = ("file", "whole", "integral", "parts", "smile", "sign", "step")
    rows = [header]
    for k, name in enumerate(NAMES):
        rows.append((name, 10 * (k % 3), f"{k % 2}.0", k / 10, "yes" if k % 2 else "no",
                     1 if k % 2 else -1, k % 4 / 4))  # fmt: skip
    table = csv_of(tmp_path / "labels.csv", rows)
    data = imported(folder, table, tmp_path)
    assert dict(zip(data.factor_names, data.factor_kinds, strict=True)) == {
        "whole": "discrete", "integral": "discrete", "parts": "continuous", "smile": "discrete",
        "sign": "discrete", "step": "continuous",
    }  # fmt: skip
    assert data.factor_values == {
        "whole": ("0", "10", "20"), "smile": ("no", "yes"), "sign": ("-1", "1"),
    }  # fmt: skip
    asked = imported(folder, table, tmp_path, kinds={"step": "discrete", "whole": "continuous"})
    assert asked.factor_values["step"] == ("0", "0.25", "0.5", "0.75")
    kinds = dict(zip(asked.factor_names, asked.factor_kinds, strict=True))
    assert (kinds["step"], kinds["whole"]) == ("discrete", "continuous")


def test_folders_are_factors(tmp_path: Path) -> None:
    of_class = folder_of(tmp_path / "a", ["cat/1.png", "cat/2.png", "dog/3.png"])
    data = imported(of_class, None, tmp_path)
    assert data.factor_names == ("class",) and data.factor_values == {"class": ("cat", "dog")}
    assert labels_of(data) == [[0], [0], [1]]
    pairs = [f"size={s}/hue={h}/x.png" for s in (2, 10) for h in ("blue", "red")]
    data = imported(folder_of(tmp_path / "b", pairs), None, tmp_path)
    assert data.factor_names == ("size", "hue") and data.is_grid
    assert data.factor_values == {"size": ("2", "10"), "hue": ("blue", "red")}
    deep = folder_of(tmp_path / "c", ["a/x/1.png", "a/y/2.png", "b/x/3.png"])
    assert imported(deep, None, tmp_path).factor_names == ("folder_1", "folder_2")
    alone = imported(folder_of(tmp_path / "d", ["1.png", "2.png"]), None, tmp_path)
    assert alone.labels is None and alone.factor_names == ()


def test_a_complete_grid_in_order_is_known_as_one(tmp_path: Path) -> None:
    images = np.stack([picture(k, 1)[..., 0] for k in range(6)])
    labels = np.stack(np.unravel_index(np.arange(6), (2, 3)), axis=1)
    np.savez(tmp_path / "a.npz", images=images, factors=labels, factor_names=["x", "y"])
    data = imported(tmp_path / "a.npz", None, tmp_path)
    assert data.is_grid and data.factor_names == ("x", "y") and data.image_shape[2] == 1
    # In another order, it has labels and no grid.
    np.savez(tmp_path / "b.npz", images=images[::-1], factors=labels[::-1])
    data = imported(tmp_path / "b.npz", None, tmp_path)
    assert not data.is_grid and labels_of(data) == labels[::-1].tolist()


def test_zeros_and_ones_are_black_and_white(tmp_path: Path) -> None:
    binary = np.stack([picture(k, 1)[..., 0] % 2 for k in range(4)])
    np.savez(tmp_path / "a.npz", imgs=binary)
    data = imported(tmp_path / "a.npz", None, tmp_path)
    assert data.max_value == 1
    np.testing.assert_array_equal(data.images(slice(None)), binary)
    # They are grey levels once they are resized.
    wide = imported(tmp_path / "a.npz", None, tmp_path, resize=32)
    assert wide.max_value == 255 and len(np.unique(wide.images(slice(None)))) > 50
    np.savez(tmp_path / "b.npz", imgs=binary.astype(bool))
    data = imported(tmp_path / "b.npz", None, tmp_path)
    np.testing.assert_array_equal(data.images(slice(None)), binary * 255)


def test_floats_from_0_to_1_are_scaled(tmp_path: Path) -> None:
    images = np.stack([picture(k) for k in range(3)])
    np.savez(tmp_path / "a.npz", x=(images / 255).astype(np.float32))
    np.testing.assert_array_equal(
        imported(tmp_path / "a.npz", None, tmp_path).images(slice(None)), images
    )


def test_sizes_are_changed_only_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(3):
        block = np.full((40, 60, 3), 10 * k, dtype=np.uint8)
        block[4:36, 14:46] = 200
        (folder / f"{k}.png").write_bytes(png(block))
    as_it_is = imported(folder, None, tmp_path)
    assert as_it_is.image_shape == (40, 60, 3)
    data = imported(folder, None, tmp_path, crop=32, resize=16)
    assert data.image_shape == (16, 16, 3)
    # The middle 32 x 32 is one colour, so any filter keeps it.
    assert set(np.unique(data.images(slice(None)))) == {200}
    grey = imported(folder, None, tmp_path, channels=1)
    assert grey.image_shape == (40, 60, 1)


def test_odd_data_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "faces", NAMES)
    (folder / "11.png").write_bytes((folder / "10.png").read_bytes())
    (folder / "9.png").write_bytes(png(np.zeros((SIDE, SIDE, 3), dtype=np.uint8)))
    (folder / "notes.txt").write_text("hello")
    (folder / ".DS_Store").write_text("x")
    header = ("file", "constant", "nearly_id", "index", "rare")
    rows = [header, *((name, 7, f"person {k}", k, int(k == 5)) for k, name in enumerate(NAMES))]
    about = understood(folder, csv_of(tmp_path / "labels.csv", rows))
    assert set(about.odd) == {
        "1 files are no images and were left out: notes.txt",
        "constant has a single value, so scores leave it out",
        "nearly_id has 12 values in 12 images, so it may be no factor",
        "1 of the 2 values of rare occur only once",
        "1 images have the same pixels as an earlier one",
        "1 images have a single colour",
    }
    assert "index: left out, as it counts the rows" in about.taken
    assert [one.name for one in about.factors] == ["constant", "nearly_id", "rare"]


def test_an_import_that_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    folder, into = folder_of(tmp_path / "faces", NAMES), tmp_path / "tables"

    def stop(done: int, total: int) -> None:
        assert (done, total) == (12, 12)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_table(folder, into=into, progress=stop)
    assert list(into.iterdir()) == []
    # What a killed process left is removed after a day, and not before.
    old, young = into / f"{ASIDE}old", into / f"{ASIDE}young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    about = import_table(folder, into=into)
    assert {one.name for one in into.iterdir()} == {young.name, about.digest}


def test_the_same_import_at_once_is_one_table(tmp_path: Path) -> None:
    folder, into = folder_of(tmp_path / "faces", NAMES), tmp_path / "tables"
    found: list[About] = []
    threads = [
        threading.Thread(target=lambda: found.append(import_table(folder, into=into)))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 4 and len({one.digest for one in found}) == 1
    assert [one.name for one in into.iterdir()] == [found[0].digest]


def test_a_table_may_name_images_with_the_folder_that_an_archive_leaves_out(
    tmp_path: Path,
) -> None:
    zipped = {f"images/{name}": png(picture(k)) for k, name in enumerate(NAMES)}
    rows = [("file", "size"), *((f"images/{name}", k % 3) for k, name in enumerate(NAMES))]
    table = csv_of(tmp_path / "labels.csv", rows)
    data = imported(zip_of(tmp_path / "faces.zip", zipped), table, tmp_path)
    assert labels_of(data) == [[k % 3] for k in range(12)]


def test_zeros_and_ones_in_colour_become_grey_levels(tmp_path: Path) -> None:
    binary = np.stack([picture(k) % 2 for k in range(4)])
    np.savez(tmp_path / "a.npz", imgs=binary)
    grey = imported(tmp_path / "a.npz", None, tmp_path, channels=1)
    # By the weights of ITU-R 601, red alone is 76, green 150 and blue 29.
    assert grey.max_value == 255
    assert {0, 29, 76, 150, 255} <= set(np.unique(grey.images(slice(None))).tolist())
