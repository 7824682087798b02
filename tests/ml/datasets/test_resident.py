from __future__ import annotations

import numpy as np
import pytest
import torch

from ml.datasets import resident
from ml.datasets.dataset import Dataset
from ml.datasets.resident import ResidentImages

# A device that is no CPU, as far as this module knows, and whose tensors have no values.
ELSEWHERE = torch.device("meta")


def images(count: int) -> Dataset:
    shape = (count, 2, 3, 3)
    return Dataset(
        name="noise",
        storage=np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        image_shape=shape[1:],
        factor_names=(),
        factor_sizes=(),
        labels=None,
        source="rendered",
    )


@pytest.mark.parametrize(("free", "uploaded"), [(360, True), (359, False)])
def test_a_set_larger_than_half_of_the_free_memory_is_streamed(
    free: int, uploaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    upload = torch.Tensor.to

    def to(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        sent.append(len(tensor))
        return upload(tensor, device)

    monkeypatch.setattr(resident, "free_bytes", lambda device: free)
    monkeypatch.setattr(torch.Tensor, "to", to)
    found = ResidentImages(images(10), ELSEWHERE)
    assert sent == ([10] if uploaded else [])
    batch = found.gather(np.array([1, 5, 1]))
    assert batch.shape == (3, 3, 2, 3) and batch.device == ELSEWHERE
    # The index is sent to images that are there, and images are sent otherwise.
    assert sent[-1] == 3


def test_streamed_images_are_those_of_the_index() -> None:
    data = images(10)
    batch = ResidentImages(data, torch.device("cpu")).gather(np.array([7, 0]))
    expected = torch.from_numpy(data.storage[[7, 0]]).permute(0, 3, 1, 2) / 255
    assert torch.equal(batch, expected)
