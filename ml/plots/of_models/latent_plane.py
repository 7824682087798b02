"""One latent against another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ml.components.registry import register
from ml.objectives.posteriors.traversals import plane
from ml.plots.drawing.letters import alike
from ml.plots.drawing.sheet import LABEL, PAGE, TICK, sheet
from ml.plots.drawing.tiles import show_tiles, tiles
from ml.plots.of_models._moved import Moved, check_latent
from ml.plots.protocol import Material, NothingToDraw
from ml.plots.usage import by_use

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TICKS = 13


@register
class LatentPlane(Moved):
    """Images decoded over a grid of two latents, while the others stay at the base.

    One latent grows from left to right, the other upwards. By default they are the two with the
    largest KL. Span and base are chosen as for the traversal.
    """

    name: Literal["latent_plane"] = "latent_plane"
    x: Annotated[int, Field(ge=0)] | None = None
    """Latent that grows from left to right; null means the most used one other than `y`."""
    y: Annotated[int, Field(ge=0)] | None = None
    """Latent that grows upwards; null means the most used one other than `x`."""

    @model_validator(mode="after")
    def _two_latents(self) -> Self:
        if self.x is not None and self.x == self.y:
            raise ValueError("x and y are two different latents")
        return self

    def draw(self, material: Material) -> Figure:
        """Draw the picture.

        Raises:
            NothingToDraw: the model has a single latent.
            InvalidSpec: there is no such latent or image, or no prior to start from.
        """
        x, y = self._latents(material)
        values = self.values(material)
        start = self.start(material)
        codes = plane(start.code, x, y, values)
        frames = len(codes)
        images = material.decode(codes.reshape(frames * frames, -1).astype(np.float32))
        drawn = tiles(images, frames, gap=max(1, images.shape[2] // 32))
        inches = min(PAGE, 0.9 + 0.5 * frames)
        high = (inches - 0.6) * drawn.shape[0] / drawn.shape[1]
        figure = sheet(inches, high + 0.5, material.title)
        axes = figure.subplots()
        show_tiles(axes, drawn)
        height, width = images.shape[1:3]
        gap = max(1, width // 32)
        ticks = np.arange(0, frames, -(-frames // MOST_TICKS))
        axes.set_xticks(ticks * (width + gap) + width / 2, alike(values[x, ticks]))
        from_top = (frames - 1 - ticks) * (height + gap) + height / 2
        axes.set_yticks(from_top, alike(values[y, ticks]))
        axes.tick_params(length=0, pad=3, labelsize=TICK)
        axes.set_xlabel(f"{material.label(x)} →", fontsize=LABEL)
        axes.set_ylabel(f"{material.label(y)} →", fontsize=LABEL)
        axes.set_title(f"others at: {start.name}", fontsize=TICK, color="0.4")
        return figure

    def _latents(self, material: Material) -> tuple[int, int]:
        for param, latent in (("x", self.x), ("y", self.y)):
            if latent is not None:
                check_latent(material, param, latent)
        free = [k for k in by_use(material).tolist() if k not in (self.x, self.y)]
        if len(free) + (self.x is not None) + (self.y is not None) < 2:
            raise NothingToDraw(
                "The model has a single latent, and a plane is of two: train one with"
                " model.latent_dim of 2 or more, or ask for its traversal."
            )
        x = free.pop(0) if self.x is None else self.x
        y = free.pop(0) if self.y is None else self.y
        return x, y
