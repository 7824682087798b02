"""How tensors lie in memory: part of what decides which kernels run, and so which bits come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]

ALIGNMENT = 16
"""Numbers; torch's own tensors begin at multiples of 64 bytes. A matrix product whose operand
begins elsewhere may run in another kernel and differ in the last place."""


def is_channels_last(shape: Sequence[int], precision: Precision) -> bool:
    """Whether networks of this precision are fastest with channels last in a tensor like this."""
    return precision == "bfloat16" and len(shape) == 4


def laid_out(tensor: Tensor, precision: Precision) -> Tensor:
    """The tensor in the memory layout that networks of this precision are fast in.

    In bfloat16 that is channels last, said by the strides also where there is one channel: else
    the first convolution takes such images for channels first, and what follows mixes both.
    """
    if is_channels_last(tensor.shape, precision):
        last = tensor.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
        return last.permute(0, 3, 1, 2)
    return tensor.contiguous()
