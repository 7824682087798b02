"""Training curves."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.plot import Material, Plot
from ml.registry import register

LATENT = "kl_per_latent/"
LEGEND_UP_TO = 12


@register
class Curves(Plot):
    """Loss, reconstruction, KL and the KL of each latent, in nats, against the training step."""

    name: Literal["curves"] = "curves"

    def draw(self, material: Material) -> Figure:
        figure = Figure(figsize=(9, 5.5), layout="constrained")
        figure.suptitle(material.title, fontsize=9)
        panels = {
            "loss": ["loss"],
            "reconstruction (nats)": ["reconstruction"],
            "KL (nats)": ["kl"],
            "KL of each latent (nats)": [tag for tag in material.scalars if tag.startswith(LATENT)],
        }
        for axes, (title, tags) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
            axes.set_title(title, fontsize=8)
            axes.set_xlabel("step", fontsize=7)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
            for tag in tags:
                points = material.scalars.get(tag, [])
                label = f"z{tag.removeprefix(LATENT)}" if tag.startswith(LATENT) else tag
                if points:
                    axes.plot(*zip(*points, strict=True), lw=1, label=label)
            if 1 < len(tags) <= LEGEND_UP_TO:
                axes.legend(fontsize=6, ncols=2)
            _show_what_follows_the_start(axes)
        return figure


def _show_what_follows_the_start(axes: Axes) -> None:
    """Bound the axis by what comes after a tenth of the points: the first steps dwarf the rest."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    late = [values for curve in curves for values in curve[len(curve) // 10 :]]
    if late and max(late) > min(late):
        margin = 0.05 * (max(late) - min(late))
        axes.set_ylim(min(late) - margin, max(late) + margin)
