"""Reconstructions beside their images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from ml.plot import Material, Plot, show_image
from ml.registry import register

COLUMNS = 8


@register
class Reconstructions(Plot):
    """Images of the evaluation above what the model makes of their codes.

    Two bands of eight: the first images drawn, and those with the highest cost of reconstruction,
    each labelled with that cost in nats (of one posterior sample; the picture shows the mean).
    """

    name: Literal["reconstructions"] = "reconstructions"

    def draw(self, material: Material) -> Figure:
        cost = material.encoded.reconstruction
        worst = np.argsort(-cost, kind="stable")[:COLUMNS]
        bands = {"drawn first": np.arange(min(COLUMNS, len(cost))), "worst": worst}
        figure = Figure(figsize=(0.9 * COLUMNS + 0.8, 4.6), layout="constrained")
        figure.suptitle(material.title, fontsize=9)
        axes = figure.subplots(4, COLUMNS, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for band, (label, rows) in enumerate(bands.items()):
            images = material.images(material.encoded.index[rows])
            decoded = material.decode(material.encoded.mean[rows])
            for column, row in enumerate(rows):
                above, below = axes[2 * band, column], axes[2 * band + 1, column]
                for axis, image in ((above, images[column]), (below, decoded[column])):
                    axis.set_axis_on()
                    show_image(axis, image)
                below.set_xlabel(f"{cost[row]:.0f} nats", fontsize=7, labelpad=1)
            axes[2 * band, 0].set_ylabel(label, fontsize=8)
            axes[2 * band + 1, 0].set_ylabel("model", fontsize=8)
        return figure
