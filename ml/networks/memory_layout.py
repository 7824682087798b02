"""How tensors lie in memory: part of what decides which kernels run, and so which bits come out."""

from __future__ import annotations

import torch
from torch import Tensor

from ml.spec.choices import Precision

ALIGNMENT = 16
"""Numbers; torch's own tensors begin at multiples of 64 bytes. A matrix product whose operand
begins elsewhere may run in another kernel and differ in the last place."""


def channels_last(device: torch.device, precision: Precision) -> bool:
    """Whether convolutions here are fastest with channels last.

    They are if their kernels are, whatever the images are. On a CPU it is a fifth less time in
    both precisions.
    """
    return device.type == "cpu" or precision == "bfloat16"


def with_channels_last(tensor: Tensor) -> Tensor:
    """A copy with channels last if it has four axes, said by its strides also for one channel."""
    if tensor.dim() != 4:
        return tensor
    last = tensor.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    return last.permute(0, 3, 1, 2)
