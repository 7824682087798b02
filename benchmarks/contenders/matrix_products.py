"""The matrix products of a training step of `burgess`, and nothing else: what training could reach.

`python -m benchmarks.contenders.matrix_products NAME TASK`, as `benchmarks.peers` starts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

import torch

from benchmarks.contenders.contender import LATENTS, Clock, Found, Task, serve

SIDE = 1024
"""Rows and columns of the square products."""


class Shape(NamedTuple):
    """A product of (rows, inner) and (inner, columns)."""

    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


def forward_shapes(batch: int) -> list[Shape]:
    """A product for each layer. A convolution's kernel has 4 x 4 pixels, and its stride is 2."""
    encoder = [(batch * side**2, 16 * channels, 32) for side, channels in _convolutions()]
    # A transposed convolution makes 4 x 4 pixels of each pixel that comes in.
    decoder = [(batch * side**2, 32, 16 * channels) for side, channels in _convolutions()]
    sizes = [(512, 256), (256, 256), (256, 2 * LATENTS), (LATENTS, 256), (256, 256), (256, 512)]
    return list(starmap(Shape, [*encoder, *((batch, *size) for size in sizes), *decoder]))


def _convolutions() -> list[tuple[int, int]]:
    """The side of the small image and the channels of the large one, from the pixels inward."""
    return [(32, 1), (16, 32), (8, 32), (4, 32)]


def step_shapes(batch: int) -> list[Shape]:
    """The products of a step: forward, for the weights' gradients, and for the inputs'."""
    forward = forward_shapes(batch)
    weights = [Shape(inner, rows, columns) for rows, inner, columns in forward]
    # Nobody asks for the gradient of the images.
    inputs = [Shape(rows, columns, inner) for rows, inner, columns in forward[1:]]
    return [*forward, *weights, *inputs]


def flops_an_image() -> float:
    return sum(shape.flops for shape in step_shapes(64)) / 64


class _Products:
    """Each step multiplies what a training step multiplies, or as many numbers."""

    def __init__(self, task: Task) -> None:
        self.task = task
        shapes, self.times = self.shapes()
        dtype = getattr(torch, task.precision)
        self.operands = [
            (
                torch.randn(shape.rows, shape.inner).to(dtype),
                torch.randn(shape.inner, shape.columns).to(dtype),
                torch.empty(shape.rows, shape.columns, dtype=dtype),
            )
            for shape in shapes
        ]

    def shapes(self) -> tuple[Sequence[Shape], float]:
        """The shapes that are multiplied, and how many training steps that is worth."""
        raise NotImplementedError

    def replay(self) -> None:
        return None

    def round(self) -> Found:
        clock = Clock(self.task)
        for _ in range(self.task.warm + self.task.steps):
            for left, right, out in self.operands:
                torch.mm(left, right, out=out)
            clock.step()
        wall, cpu = clock.found()
        return Found(wall / self.times, cpu / self.times)


class OfLayers(_Products):
    """The products of the layers, in their shapes."""

    def shapes(self) -> tuple[Sequence[Shape], float]:
        return step_shapes(self.task.batch), 1.0


class Square(_Products):
    """Large square products, the shape that processors are fastest at."""

    def shapes(self) -> tuple[Sequence[Shape], float]:
        shape = Shape(SIDE, SIDE, SIDE)
        return [shape], shape.flops / (flops_an_image() * self.task.batch)


if __name__ == "__main__":
    serve({"of_layers": OfLayers, "square": Square})
