"""Named tensors as rows."""

from __future__ import annotations

import pytest
import torch

from ml.networks.memory_layout import ALIGNMENT, with_channels_last
from ml.networks.row_layout import RowLayout

SHAPES = {"kernel": (3, 2, 4, 4), "bias": (5,), "dense": (7, 3)}


def tensors() -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("channels_last", [False, True])
def test_what_is_packed_is_what_comes_out(channels_last: bool) -> None:
    layout = RowLayout(SHAPES, channels_last=channels_last)
    runs = [tensors(), tensors()]
    found = layout.unpack(torch.stack([layout.pack(run) for run in runs]))
    for place, run in enumerate(runs):
        for name, tensor in run.items():
            assert torch.equal(found[name][place], tensor)


def test_the_order_in_which_tensors_come_does_not_matter() -> None:
    given = tensors()
    backwards = dict(reversed(given.items()))
    layout = RowLayout(
        {name: tensor.shape for name, tensor in backwards.items()}, channels_last=False
    )
    assert torch.equal(RowLayout(SHAPES, channels_last=False).pack(given), layout.pack(backwards))


def test_every_tensor_of_every_row_is_aligned() -> None:
    layout = RowLayout(SHAPES, channels_last=False)
    rows = torch.zeros(3, layout.length)
    for tensor in layout.unpack(rows).values():
        for row in tensor:
            assert (row.data_ptr() - rows.data_ptr()) % (4 * ALIGNMENT) == 0


def test_gradients_reach_a_row_through_its_views() -> None:
    layout = RowLayout(SHAPES, channels_last=False)
    rows = torch.stack([layout.pack(tensors())] * 2).requires_grad_()
    views = layout.unpack(rows)
    value = (views["kernel"].square().sum((1, 2, 3, 4)) * torch.tensor([1.0, 3.0])).sum()
    (gradient,) = torch.autograd.grad(value, rows)
    assert torch.equal(layout.unpack(gradient)["kernel"][1], 6 * views["kernel"][1])
    assert not layout.unpack(gradient)["dense"].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_kernels_have_their_channels_last_by_their_strides(channels: int) -> None:
    shape = (3, channels, 4, 4)
    strides = (16 * channels, 1, 4 * channels, channels)
    kernel = torch.rand(shape)
    assert with_channels_last(kernel).stride() == strides
    assert torch.equal(with_channels_last(kernel), kernel)
    layout = RowLayout({"kernel": shape}, channels_last=True)
    rows = layout.pack({"kernel": kernel})[None]
    assert layout.unpack(rows)["kernel"].squeeze(0).stride() == strides
