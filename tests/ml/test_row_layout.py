"""Named tensors as rows."""

from __future__ import annotations

import pytest
import torch

from ml.memory_layout import ALIGNMENT, Precision, laid_out
from ml.row_layout import RowLayout

SHAPES = {"kernel": (3, 2, 4, 4), "bias": (5,), "dense": (7, 3)}


def tensors() -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_packed_is_what_comes_out(precision: Precision) -> None:
    layout = RowLayout(SHAPES, precision)
    runs = [tensors(), tensors()]
    found = layout.unpack(torch.stack([layout.pack(run) for run in runs]))
    for place, run in enumerate(runs):
        for name, tensor in run.items():
            assert torch.equal(found[name][place], tensor)


def test_the_order_in_which_tensors_come_does_not_matter() -> None:
    given = tensors()
    backwards = dict(reversed(given.items()))
    layout = RowLayout({name: tensor.shape for name, tensor in backwards.items()}, "float32")
    assert torch.equal(RowLayout(SHAPES, "float32").pack(given), layout.pack(backwards))


def test_every_tensor_of_every_row_is_aligned() -> None:
    layout = RowLayout(SHAPES, "float32")
    rows = torch.zeros(3, layout.length)
    for tensor in layout.unpack(rows).values():
        for row in tensor:
            assert (row.data_ptr() - rows.data_ptr()) % (4 * ALIGNMENT) == 0


def test_gradients_reach_a_row_through_its_views() -> None:
    layout = RowLayout(SHAPES, "float32")
    rows = torch.stack([layout.pack(tensors())] * 2).requires_grad_()
    views = layout.unpack(rows)
    value = (views["kernel"].square().sum((1, 2, 3, 4)) * torch.tensor([1.0, 3.0])).sum()
    (gradient,) = torch.autograd.grad(value, rows)
    assert torch.equal(layout.unpack(gradient)["kernel"][1], 6 * views["kernel"][1])
    assert not layout.unpack(gradient)["dense"].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_in_bfloat16_have_their_channels_last_by_their_strides(channels: int) -> None:
    images = laid_out(torch.rand(2, channels, 8, 8), "bfloat16")
    assert images.stride() == (64 * channels, 1, 8 * channels, channels)
    layout = RowLayout({"kernel": (3, channels, 4, 4)}, "bfloat16")
    kernel = layout.unpack(torch.zeros(1, layout.length))["kernel"]
    assert kernel.squeeze(0).stride() == (16 * channels, 1, 4 * channels, channels)
