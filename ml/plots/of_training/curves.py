"""Training curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ml.codes.latents import KL_TAG
from ml.components.registry import register
from ml.plots.drawing.sheet import show_what_follows_the_start
from ml.plots.protocol import Material, RunPlot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND_UP_TO = 12


@register
class Curves(RunPlot):
    """Loss, reconstruction, KL and the KL of each latent, in nats, against the training step."""

    early: ClassVar[bool] = True
    name: Literal["curves"] = "curves"

    def draw(self, material: Material) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 5.5), layout="constrained")
        figure.suptitle(material.title, fontsize=9)
        panels = {
            "loss": ["loss"],
            "reconstruction (nats)": ["reconstruction"],
            "KL (nats)": ["kl"],
            "KL of each latent (nats)": [tag for tag in material.scalars if tag.startswith(KL_TAG)],
        }
        for axes, (title, tags) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
            if material.scalars and not any(material.scalars.get(tag) for tag in tags):
                axes.set_axis_off()  # The objective has no such term.
                continue
            axes.set_title(title, fontsize=8)
            axes.set_xlabel("step", fontsize=7)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
            for tag in tags:
                points = material.scalars.get(tag, [])
                label = f"z{tag.removeprefix(KL_TAG)}" if tag.startswith(KL_TAG) else tag
                if points:
                    axes.plot(*zip(*points, strict=True), lw=1, label=label)
            if 1 < len(tags) <= LEGEND_UP_TO:
                axes.legend(fontsize=6, ncols=2)
            show_what_follows_the_start(axes)
        return figure
