from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ml.datasets.dataset import Dataset
from ml.datasets.resident import ResidentImages
from ml.evaluation.encode import evaluation_rows
from ml.spec.parts import Evaluation


def numbered(numbers: NDArray[np.int64], stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The number of its row in red, and what is stored in green."""
    images = np.zeros((len(stored), 1, 1, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = numbers, stored[:, 0]
    return images


def test_images_are_painted_by_their_rows_and_not_by_their_positions() -> None:
    data = Dataset(
        name="painted", storage=np.array([[5], [6], [7]], np.uint8), paint=numbered,
        chosen=np.array([2, 0]), image_shape=(1, 1, 3), factor_names=(), factor_sizes=(),
        labels=None, source="made up",
    )  # fmt: skip
    assert data.images(slice(None))[:, 0, 0].tolist() == [[2, 7, 0], [0, 5, 0]]
    gathered = ResidentImages(data, torch.device("cpu")).gather(np.array([1, 0])) * 255
    assert gathered[:, :, 0, 0].tolist() == [[0, 5, 0], [2, 7, 0]]


def test_images_that_another_device_gathers_are_painted_before_they_are_sent() -> None:
    # The device "meta" keeps no values, so only what is uploaded is seen here.
    rows = np.zeros((4, 2), dtype=np.uint8)
    asked: list[list[int]] = []

    def paint(numbers: NDArray[np.int64], stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        asked.append(numbers.tolist())
        return np.zeros((len(stored), 2, 2, 3), dtype=np.uint8)

    data = Dataset(
        name="painted", storage=rows, paint=paint, image_shape=(2, 2, 3), factor_names=(),
        factor_sizes=(), labels=None, source="made up",
    )  # fmt: skip
    resident = ResidentImages(data, torch.device("meta"))
    assert asked == []
    batch = resident.gather(np.array([3, 1]))
    assert (asked, batch.shape, batch.device.type) == ([[3, 1]], (2, 3, 2, 2), "meta")


def test_evaluation_compares_painted_images_and_not_what_is_stored() -> None:
    rows = np.zeros((40, 1), dtype=np.uint8)

    def paint(numbers: NDArray[np.int64], stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        # Two of each.
        images = np.zeros((len(stored), 1, 1, 3), dtype=np.uint8)
        images[:, 0, 0, 0] = numbers // 2
        return images

    data = Dataset(
        name="painted", storage=rows, paint=paint, image_shape=(1, 1, 3), factor_names=(),
        factor_sizes=(), labels=None, source="made up",
    )  # fmt: skip
    index, train = evaluation_rows(data, Evaluation(metrics=(), rows=20, test_rows=20))
    fitted, tested = index[:train] // 2, index[train:] // 2
    assert sorted(index) == list(range(40)) and 18 <= train <= 20
    assert not set(fitted) & set(tested)


def test_painted_images_cannot_be_said_to_be_packed() -> None:
    with pytest.raises(ValueError, match="painted are bytes, but packed is set"):
        Dataset(
            name="painted", storage=np.zeros((1, 1), np.uint8), packed=True,
            paint=lambda numbers, stored: stored, image_shape=(1, 1, 3), factor_names=(),
            factor_sizes=(), labels=None, source="made up",
        )  # fmt: skip
