"""Named tensors as one flat row of numbers, so that those of a cohort form a matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

from ml.networks.memory_layout import ALIGNMENT


class RowLayout:
    """Where each named tensor lies in a row.

    Tensors are sorted by name, because files return them in any order, and sums over a row must not
    depend on that.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], *, channels_last: bool) -> None:
        self._shapes = {name: torch.Size(shapes[name]) for name in sorted(shapes)}
        self._channels_last = channels_last
        self._sizes: list[int] = []
        for shape in self._shapes.values():
            size = math.prod(shape)
            self._sizes += [size, -size % ALIGNMENT]
        self.length = sum(self._sizes)
        """Numbers in a row."""

    def pack(self, tensors: Mapping[str, Tensor]) -> Shaped[Tensor, "length"]:
        """A copy of the tensors as a row."""
        row = torch.zeros(1, self.length)
        for name, place in self.unpack(row).items():
            place[0].copy_(tensors[name])
        return row[0]

    def unpack(self, rows: Shaped[Tensor, "places length"]) -> dict[str, Tensor]:
        """Differentiable views of the rows as tensors (places, *shape), by name."""
        # The gradient of a single split is a single concatenation.
        parts = torch.split(rows, self._sizes, dim=1)[::2]
        return {
            name: self._view(part, shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _view(self, part: Tensor, shape: torch.Size) -> Tensor:
        if self._channels_last and len(shape) == 4:
            out, channels, height, width = shape
            return part.view(-1, out, height, width, channels).permute(0, 1, 4, 2, 3)
        return part.view(-1, *shape)
