"""A data set's images on the training device, gathered by index without a loader process."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ml.datasets.dataset import Dataset


class ResidentImages:
    """Images as bits or bytes on the device that uses them.

    On a CPU they stay in the data set's own memory, which may be a memory map that processes share.
    On another device they are uploaded once and gathered there. Images that are painted when they
    are gathered are painted on the CPU, and each batch is sent.
    """

    def __init__(self, data: Dataset, device: torch.device) -> None:
        self._data, self._device = data, device
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        self._uploaded = (
            None
            if device.type == "cpu" or data.paint is not None
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
            bits = (stored.unsqueeze(-1) >> self._shifts) & 1
            stored = bits.flatten(1)[:, : height * width * channels]
        images = stored.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        return images.float().div_(self._data.max_value)
