"""Images and their reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ml.components.registry import register
from ml.plots.drawing.mosaic import Row, mosaic
from ml.plots.protocol import Material, RunPlot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8


@register
class Reconstructions(RunPlot):
    """Images of the evaluation, with their reconstructions below them.

    There are two bands of eight images: the first ones drawn, and those whose reconstruction costs
    most. Each is labelled with its cost in nats. The cost is that of one posterior sample, while
    the picture is decoded from the posterior mean.
    """

    early: ClassVar[bool] = True
    name: Literal["reconstructions"] = "reconstructions"

    def draw(self, material: Material) -> Figure:
        cost = material.encoded.reconstruction
        first = np.arange(min(COLUMNS, len(cost)))
        worst = np.argsort(-cost, kind="stable")[:COLUMNS]
        chosen = np.concatenate([first, worst])
        images = material.images(material.encoded.index[chosen])
        decoded = material.decode(material.encoded.mean[chosen])
        rows = []
        for label, places in (
            ("drawn first", slice(len(first))),
            ("worst", slice(len(first), None)),
        ):
            texts = [f"{nats:.0f} nats" for nats in cost[chosen[places]]]
            rows.append(Row(label, "", images[places], []))
            rows.append(Row("model", "", decoded[places], texts))
        return mosaic(material.title, rows)
