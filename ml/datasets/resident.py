"""A data set's images on the training device, gathered by index without a loader process."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ml.datasets.dataset import Dataset

SHARE_OF_FREE = 0.5


class ResidentImages:
    """Images as bits or bytes on the device that uses them.

    On a CPU they stay in the data set's own memory, which may be a memory map that processes share.
    On another device they are uploaded once and gathered there, if they take at most half of its
    free memory. A larger set is streamed: each batch is gathered from the memory map and sent. So
    are images that are painted when they are gathered. The bits of a batch are the same either way.
    """

    def __init__(self, data: Dataset, device: torch.device) -> None:
        self._data, self._device = data, device
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        self._uploaded = (
            None
            if device.type == "cpu" or data.paint is not None or not _fits(data, device)
            else torch.from_numpy(data.stored(np.arange(len(data)))).to(device)
        )

    def gather(
        self, index: Int[np.ndarray, "samples"]
    ) -> Float[Tensor, "samples channels height width"]:
        """Images as float32 in [0, 1]."""
        if self._uploaded is None:
            stored = torch.from_numpy(self._data.stored(index)).to(self._device)
        else:
            stored = self._uploaded[torch.from_numpy(index).to(self._device)]
        height, width, channels = self._data.image_shape
        if self._data.packed:
            stored = self._bits(stored)[:, : height * width * channels]
        images = stored.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        return images.float().div_(self._data.max_value)

    def _bits(self, stored: Tensor) -> Tensor:
        if stored.device.type == "cpu":
            return torch.from_numpy(np.unpackbits(stored.flatten(1).numpy(), axis=1))
        return ((stored.unsqueeze(-1) >> self._shifts) & 1).flatten(1)


def _fits(data: Dataset, device: torch.device) -> bool:
    """Whether a data set's images leave enough of the device's free memory to train in."""
    return len(data) * math.prod(data.storage.shape[1:]) <= free_bytes(device) * SHARE_OF_FREE


def free_bytes(device: torch.device) -> float:
    """The free memory of a device in bytes. It is not limited here if it is not known."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else math.inf
