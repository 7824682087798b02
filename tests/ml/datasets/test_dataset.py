from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from ml.components.registry import UnknownComponent
from ml.datasets.dataset import Dataset, NotAGrid
from ml.datasets.protocol import OperatorPath, data_folder, dataset, operator_file


def small(**changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "name": "small",
        "storage": np.arange(6 * 2 * 3 * 1, dtype=np.uint8).reshape(6, 2, 3, 1),
        "image_shape": (2, 3, 1),
        "factor_names": ("row", "column"),
        "factor_sizes": (2, 3),
        "labels": "grid",
        "source": "made up",
    }
    return Dataset(**{**values, **changes})


def test_images_of_one_channel_have_no_channel_axis() -> None:
    images = small().images([4, 0])
    np.testing.assert_array_equal(
        images, [[[24, 25, 26], [27, 28, 29]], [[0, 1, 2], [3, 4, 5]]], strict=False
    )
    assert images.dtype == np.uint8


def test_images_of_several_channels_keep_the_channel_axis() -> None:
    storage = np.arange(6 * 6, dtype=np.uint8).reshape(6, 1, 2, 3)
    images = small(storage=storage, image_shape=(1, 2, 3)).images([5])
    np.testing.assert_array_equal(images, storage[5:])


def test_packed_images_equal_the_bytes_they_were_packed_from() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (6, 3, 3, 1), dtype=np.uint8)
    packed = np.packbits(pixels.reshape(6, 9), axis=1)
    opened = small(storage=packed, packed=True, image_shape=(3, 3, 1), max_value=1)
    np.testing.assert_array_equal(opened.images([3, 1]), pixels[[3, 1], :, :, 0])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 5, 2), [1, 3]),
        (slice(None), [0, 1, 2, 3, 4, 5]),
        (slice(-2, None), [4, 5]),
        (3, [3]),
        ([], []),
        (range(2), [0, 1]),
        (np.array([5, 5], dtype=np.uint8), [5, 5]),
    ],
)
def test_an_index_is_a_slice_or_integers(index: Any, expected: list[int]) -> None:
    images = small().images(index)
    assert images[:, 0, 0].tolist() == [6 * i for i in expected]
    assert len(small().factors(index)) == len(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ([0, 6], "index 6 is not in small: 0 to 5"),
        ([-1], "index -1 is not in small"),
        ([0.5], "float64"),
        ([True], "bool"),
        ([[0]], r"\(1, 1\)"),
    ],
)
def test_any_other_index_is_refused_by_naming_it(index: Any, said: str) -> None:
    for read in (small().images, small().factors):
        with pytest.raises(IndexError, match=said):
            read(index)


def test_factors_of_a_grid_follow_from_the_index_and_lead_back_to_it() -> None:
    factors = small().factors(slice(None))
    assert factors is not None
    assert factors.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert factors.dtype == np.int64
    assert small().index(factors).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_factor_outside_its_values_is_named() -> None:
    with pytest.raises(IndexError, match="column 3 is not in small: 0 to 2"):
        small().index([[0, 3]])
    with pytest.raises(IndexError, match=r"integer factors \(n, 2\), but got int64 \(1, 3\)"):
        small().index([[0, 0, 0]])


def test_labelled_images_give_their_labels_and_unlabelled_ones_none() -> None:
    labels = np.array([[1, 2], [0, 0], [1, 1], [0, 2], [0, 1], [1, 0]])
    labelled = small(labels=labels)
    np.testing.assert_array_equal(labelled.factors([2, 0]), labels[[2, 0]])
    assert small(labels=None).factors([0]) is None
    for chosen_by_index in (labelled, small(labels=None)):
        assert not chosen_by_index.is_grid
        with pytest.raises(NotAGrid, match="small"):
            chosen_by_index.index([[0, 0]])


@pytest.mark.parametrize(
    "changes",
    [
        {"factor_sizes": (2, 4)},
        {"factor_sizes": (6,)},
        {"labels": np.zeros((5, 2), dtype=np.int64)},
        {"storage": np.zeros((6, 2, 3, 1))},
        {"storage": np.zeros((6, 2), dtype=np.uint8), "packed": True},
    ],
)
def test_contradictory_parts_make_no_dataset(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="small: "):
        small(**changes)


def test_a_misspelt_dataset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownComponent, match="did you mean 'dsprites'"):
        dataset("dsprite")


def test_unknown_and_wrong_params_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        dataset("dsprites", colour="red")
    with pytest.raises(ValidationError, match="size"):
        dataset("digits", size=48)


def test_data_folder_is_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEDDLE_DATA", raising=False)
    monkeypatch.delenv("HEDDLE_HOME", raising=False)
    assert data_folder() == tmp_path / ".heddle" / "data"
    monkeypatch.setenv("HEDDLE_HOME", str(tmp_path / "home"))
    assert data_folder() == tmp_path / "home" / "data"
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path / "elsewhere"))
    assert data_folder() == tmp_path / "elsewhere"


class Holder(BaseModel):
    path: OperatorPath


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secret.npz", "a/../../b", "C:\\a.npz", "a\\..\\..\\b", "\\\\host\\a"],
)
def test_remote_paths_stay_in_the_data_folder(path: str) -> None:
    with pytest.raises(ValidationError, match="relative to the server's data folder"):
        Holder.model_validate({"path": path}, context={"remote": True})
    assert Holder.model_validate({"path": path}).path == path


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_names_no_file_is_refused_from_everywhere(path: str) -> None:
    for context in (None, {"remote": True}):
        with pytest.raises(ValidationError, match="expected the path of a file"):
            Holder.model_validate({"path": path}, context=context)


def test_operator_files_lie_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    inside = Holder.model_validate({"path": "sets/a.npz"}, context={"remote": True})
    assert operator_file(inside.path) == tmp_path / "sets" / "a.npz"
    assert operator_file("/elsewhere/a.npz") == Path("/elsewhere/a.npz")
