from __future__ import annotations

import hashlib
import json
import multiprocessing
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from ml.datasets import _dsprites_geometry as geometry
from ml.datasets import _npz, dsprites
from ml.datasets.dataset import Dataset
from ml.datasets.dsprites import DSprites
from ml.datasets.protocol import MissingFile, UnusableFile, dataset

FRAMES = json.loads((Path(__file__).parent / "data" / "dsprites_frames.json").read_text())["frames"]

WHOLE = "2c612e5234d21c2b576c375ebe1faa1b363ab97d340164c5d2dcf27f35dd5eb6"
SQUARES = "b6bd2bf7541429734a75c063a4a3f5805186137008141acac23ed092b276f688"
ELLIPSES = "e9c517109bd51c2339b9ceaf62ac03058b41b0f99598db684c386de28b67e3ea"
HEARTS = "140016fff4c0dac4e4fa6f152522e1717a67d93762b83e2c8f1bdd64cd85d454"


@pytest.fixture(scope="module")
def rendered(data_folder: Path) -> Dataset:
    return dataset("dsprites")


def test_rendered_images_have_the_known_digests(rendered: Dataset) -> None:
    whole = hashlib.sha256()
    shapes = []
    for start in range(0, 737_280, 245_760):
        shape = hashlib.sha256()
        for block in range(start, start + 245_760, 8192):
            images = rendered.images(slice(block, block + 8192))
            whole.update(images.data)
            # The squares come first, so that the digest of the whole begins as theirs.
            if start:
                shape.update(images.data)
        shapes.append(shape.hexdigest() if start else whole.hexdigest())
    assert shapes == [SQUARES, ELLIPSES, HEARTS]
    assert whole.hexdigest() == WHOLE


def test_every_known_official_frame_is_rendered_exactly(rendered: Dataset) -> None:
    assert len(FRAMES) == 366
    index = [frame["index"] for frame in FRAMES]
    np.testing.assert_array_equal(rendered.factors(index), [frame["labels"] for frame in FRAMES])
    packed = [np.packbits(image.ravel()).tobytes() for image in rendered.images(index)]
    assert [zlib.crc32(image) for image in packed] == [frame["crc32"] for frame in FRAMES]


def test_the_last_orientation_shows_the_same_images_as_the_first(rendered: Dataset) -> None:
    rows = rendered.storage.reshape(18, 40, 1024, 512)
    np.testing.assert_array_equal(rows[:, 39], rows[:, 0])
    assert (rows[:, 39] != rows[:, 1]).any()


def test_the_rendered_set_is_the_grid_of_five_factors(rendered: Dataset) -> None:
    assert len(rendered) == 737_280
    assert rendered.factor_names == ("shape", "scale", "orientation", "posX", "posY")
    assert rendered.factor_sizes == (3, 6, 40, 32, 32)
    assert (rendered.source, rendered.max_value, rendered.is_grid) == ("rendered", 1, True)
    assert rendered.factors([0, 1, 32, 737_279]).tolist() == [  # type: ignore[union-attr]
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [2, 5, 39, 31, 31],
    ]
    index = np.random.default_rng(0).integers(0, 737_280, 1000)
    np.testing.assert_array_equal(rendered.index(rendered.factors(index)), index)  # type: ignore[arg-type]


def test_images_move_right_with_posx_and_down_with_posy(rendered: Dataset) -> None:
    def centre(shape: int, x: int, y: int) -> NDArray[np.float64]:
        image = rendered.images(rendered.index([[shape, 3, 0, x, y]]))[0]
        rows, columns = np.nonzero(image)
        return np.array([columns.mean() + 0.5, rows.mean() + 0.5])

    for shape in (0, 1):
        np.testing.assert_allclose(centre(shape, 0, 0), [16, 16], atol=0.6)
        np.testing.assert_allclose(centre(shape, 31, 0), [48, 16], atol=0.6)
        np.testing.assert_allclose(centre(shape, 0, 31), [16, 48], atol=0.6)


def test_a_square_is_drawn_as_worked_by_hand(rendered: Dataset) -> None:
    # Half scale: corners 16 +- 4.8, so the centres from 11.5 to 20.5 are inside.
    expected = np.zeros((64, 64), dtype=np.uint8)
    expected[11:21, 11:21] = 1
    np.testing.assert_array_equal(rendered.images(0)[0], expected)


def _open_and_report(barrier: Any, report: Any) -> None:
    barrier.wait()
    opened = dataset("dsprites")
    report.put(zlib.crc32(opened.images([0, 400_000, 737_279]).data))


def test_processes_that_open_a_damaged_cache_at_once_render_it_again_once(
    rendered: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    cache = tmp_path / "dsprites-rendered-v1.bits"
    with cache.open("wb") as file:
        file.truncate(737_280 * 512 + 32)
    log = tmp_path / "renderings"
    render = geometry.blocks

    def logged() -> Iterator[NDArray[np.uint8]]:
        with log.open("a") as file:
            file.write("rendering\n")
        return render()

    monkeypatch.setattr(geometry, "blocks", logged)
    # Forked, so that the children log too.
    fork = multiprocessing.get_context("fork")
    barrier, report = fork.Barrier(2), fork.Queue()
    children = [
        fork.Process(target=_open_and_report, args=(barrier, report), daemon=True) for _ in range(2)
    ]
    for child in children:
        child.start()
    reports = [report.get(timeout=60) for _ in children]
    for child in children:
        child.join(timeout=60)
    assert reports == 2 * [zlib.crc32(rendered.images([0, 400_000, 737_279]).data)]

    # This process checks the digest too, and would render again if it were wrong.
    np.testing.assert_array_equal(dataset("dsprites").storage[::1000], rendered.storage[::1000])
    assert log.read_text() == "rendering\n"
    cache.unlink()


SIZES = (3, 2, 2, 4, 4)
IMAGES = 3 * 2 * 2 * 4 * 4


class Trap:
    """Fails when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("the metadata were unpickled",))


def official_like() -> dict[str, Any]:
    classes = np.stack([np.zeros(IMAGES), *np.unravel_index(np.arange(IMAGES), SIZES)], axis=1)
    images = np.random.default_rng(0).integers(0, 2, (IMAGES, 64, 64), dtype=np.uint8)
    return {
        "metadata": np.array(Trap(), dtype=object),
        "imgs": images,
        "latents_classes": classes.astype(np.int64),
        "latents_values": classes.astype(np.float64),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, for a data set of 192 images in the official layout."""
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    monkeypatch.setattr(dsprites, "FACTOR_SIZES", SIZES)
    return tmp_path


@pytest.mark.parametrize("at_once", [4096, 50])
def test_the_official_file_is_read_and_named_by_its_digest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(dsprites, "IMAGES_AT_ONCE", at_once)
    contents = official_like()
    np.savez_compressed(folder / "official.npz", **contents)
    opened = dataset("dsprites", path="official.npz")
    np.testing.assert_array_equal(opened.images(slice(None)), contents["imgs"])
    assert opened.source == hashlib.sha256((folder / "official.npz").read_bytes()).hexdigest()
    assert opened.factor_sizes == SIZES


def test_the_official_file_is_unpacked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(folder / "official.npz", **official_like())
    first = dataset("dsprites", path="official.npz")
    monkeypatch.setattr(dsprites, "array_stream", None)
    again = dataset("dsprites", path="official.npz")
    np.testing.assert_array_equal(again.storage, first.storage)


def test_identity_holds_the_digest_of_the_file_and_not_its_path(folder: Path) -> None:
    whole = {"name": "dsprites", "version": 1, "path": None}
    assert DSprites().identity() == whole
    everything = {"shape": (2, 1, 0), "posX": tuple(range(32))}
    assert DSprites(values=everything).identity() == whole
    assert DSprites(values={"shape": (1, 0)}).identity() == whole | {"values": {"shape": [0, 1]}}
    contents = official_like()
    identities = []
    for file in ("a.npz", "b.npz"):
        np.savez_compressed(folder / file, **contents)
        identities.append(DSprites(path=file).identity())
    assert identities[0] == identities[1]
    assert str(identities[0]["path"]).startswith("sha256:")

    np.savez(folder / "b.npz", **contents)
    assert DSprites(path="b.npz").identity() != identities[0]


def test_a_missing_file_says_where_to_put_it_and_where_to_find_it(folder: Path) -> None:
    for ask in (DSprites(path="sets/d.npz").open, DSprites(path="sets/d.npz").identity):
        with pytest.raises(MissingFile) as missing:
            ask()
        for fact in (
            str(folder / "sets" / "d.npz"),
            "20 to 30 MB",
            "google-deepmind/dsprites-dataset",
        ):
            assert fact in str(missing.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imgs": None}, "expected an array 'imgs', but it holds latents_classes.npy, latents_val"),
        ({"imgs": np.full((IMAGES, 64, 64), 255, np.uint8)}, "got 255 from image 0 on"),
        ({"imgs": np.zeros((IMAGES, 64, 64), np.int16)}, "'imgs' of 786432 bytes and a header"),
        ({"imgs": np.zeros((IMAGES, 64, 64), np.int8)}, "but got int8"),
        ({"imgs": np.zeros((IMAGES, 4096), np.uint8)}, r"but got uint8 \(192, 4096\)"),
        ({"imgs": np.zeros((64, 64, IMAGES), np.uint8).T}, "Fortran order"),
        ({"latents_classes": official_like()["latents_classes"][::-1]}, "at image 0, but got"),
        ({"latents_classes": np.zeros((IMAGES, 6))}, "but got float64"),
    ],
)
def test_another_file_than_the_official_one_is_refused(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    contents = {name: a for name, a in {**official_like(), **changes}.items() if a is not None}
    np.savez_compressed(folder / "other.npz", **contents)
    with pytest.raises(UnusableFile, match=said):
        dataset("dsprites", path="other.npz")
    assert not list(folder.glob("*.bits*.part"))
    assert not list(folder.glob("*.bits"))


def test_a_file_that_is_no_archive_is_refused(folder: Path) -> None:
    (folder / "page.npz").write_text("<html>404</html>")
    with pytest.raises(UnusableFile, match=r"damaged, or no \.npz archive"):
        dataset("dsprites", path="page.npz")


def test_a_member_that_is_no_array_is_refused(folder: Path) -> None:
    with zipfile.ZipFile(folder / "other.npz", "w") as archive:
        archive.writestr("latents_classes.npy", bytes(IMAGES * 6 * 8 + 128))
    with pytest.raises(UnusableFile, match="'latents_classes' is no numpy array"):
        dataset("dsprites", path="other.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_anywhere_in_the_images_is_noticed(folder: Path, save: Any) -> None:
    contents = official_like()
    save(folder / "whole.npz", **contents)
    data = bytearray((folder / "whole.npz").read_bytes())
    with zipfile.ZipFile(folder / "whole.npz") as archive:
        member = archive.getinfo("imgs.npy")
    data[member.header_offset + member.compress_size - 200] ^= 1
    (folder / "changed.npz").write_bytes(data)
    with pytest.raises(UnusableFile, match=r"damaged, or no \.npz archive"):
        dataset("dsprites", path="changed.npz")


def test_sizes_that_deflate_cannot_reach_are_refused_before_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(folder / "bomb.npz", **official_like())
    monkeypatch.setattr(_npz, "_DEFLATE_RATIO_AT_MOST", 2)
    with pytest.raises(UnusableFile, match="more than 2 times"):
        dataset("dsprites", path="bomb.npz")


def test_chosen_values_are_a_grid_of_their_own() -> None:
    whole = dataset("dsprites")
    part = dataset("dsprites", values={"shape": (0, 2), "posY": (3, 5, 31)})
    assert part.is_grid and part.factor_sizes == (2, 6, 40, 32, 3)
    assert len(part) == 2 * 6 * 40 * 32 * 3
    factors = np.array([[1, 5, 39, 31, 2], [0, 0, 0, 0, 0], [1, 2, 3, 4, 1]])
    official = factors.copy()
    official[:, 0] = np.array([0, 2])[factors[:, 0]]
    official[:, 4] = np.array([3, 5, 31])[factors[:, 4]]
    index = part.index(factors)
    np.testing.assert_array_equal(part.images(index), whole.images(whole.index(official)))
    np.testing.assert_array_equal(part.factors(index), factors)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"shape": (0, 3)}, "0 to 2"),
        ({"shape": (0, 0)}, "different values"),
        ({"shape": ()}, "at least 1"),
        ({"colour": (0,)}, "shape"),
        ({"shape": (0,), "scale": (0,), "orientation": (0,), "posX": (0,), "posY": (0,)}, "two"),
    ],
)
def test_values_that_are_none_of_a_factor_are_refused(
    values: dict[str, tuple[int, ...]], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        DSprites.model_validate({"name": "dsprites", "values": values})
