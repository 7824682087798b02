"""The terms of the objective during training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ml.codes.latents import KL_TAG
from ml.components.registry import register
from ml.plots.drawing.sheet import show_what_follows_the_start
from ml.plots.protocol import Curve, Material, RunPlot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")
IN_OTHER_PANELS = {"loss", "elbo", "reconstruction", "kl", "capacity", *PARTS}
MOST_IN_LEGEND = 12
COLUMNS = 3

Curves = Mapping[str, Curve]


@register
class ObjectiveTerms(RunPlot):
    """The objective's terms during training, in nats for each sample.

    The first panel is the negative evidence lower bound, as a stack of reconstruction and KL. The
    second is the KL, as a stack of its latents with the largest final KL at the bottom, and with
    the capacity if there is one. Then come the parts of the KL as the objective estimates them,
    which may be negative, and a panel for each other term that it logs, such as penalties or a
    discriminator's loss and accuracy. Axes are bounded by the points after the first tenth, as the
    first steps dwarf the rest.
    """

    early: ClassVar[bool] = True
    name: Literal["objective_terms"] = "objective_terms"

    def draw(self, material: Material) -> Figure:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure

        curves = {tag: points for tag, points in material.scalars.items() if points}
        panels = _panels(curves) or {"no curves": Axes.set_axis_off}
        columns = min(COLUMNS, len(panels))
        rows = math.ceil(len(panels) / columns)
        figure = Figure(figsize=(3.6 * columns, 2.7 * rows + 0.4), layout="constrained")
        figure.suptitle(material.title, fontsize=9)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in grid:
            axes.set_axis_off()
        for axes, (title, draw) in zip(grid, panels.items(), strict=False):
            axes.set_axis_on()
            draw(axes)
            axes.set_title(title, fontsize=8)
            axes.set_xlabel("step", fontsize=7)
            axes.tick_params(labelsize=7)
            if 1 < len(axes.get_legend_handles_labels()[0]) <= MOST_IN_LEGEND:
                axes.legend(fontsize=6, ncols=2, loc="upper right")
        return figure


def _panels(curves: Curves) -> dict[str, Callable[[Axes], None]]:
    """The function that draws each panel, by the panel's title."""
    panels: dict[str, Callable[[Axes], None]] = {}
    evidence = _chosen(curves, "reconstruction", "kl")
    if evidence:
        title = "negative ELBO (nats)" if "KL" in evidence else "reconstruction (nats)"
        panels[title] = partial(_stack, layers=evidence)
    latents = _latents(curves)
    if latents:
        bounds = _chosen(curves, "capacity")
        panels["KL of each latent (nats)"] = partial(_stack, layers=latents, over=bounds)
    parts = _chosen(curves, *PARTS)
    if parts:
        title = "parts of the KL" if len(parts) > 1 else next(iter(parts))
        panels[f"{title}, estimated (nats)"] = partial(_lines, curves=parts)
    for tag, points in sorted(curves.items()):
        known = tag in IN_OTHER_PANELS or tag.startswith(KL_TAG) or tag.endswith("gradient_norm")
        if not known:
            panels[_words(tag)] = partial(_lines, curves={tag: points})
    return panels


def _chosen(curves: Curves, *tags: str) -> dict[str, Curve]:
    return {_words(tag): curves[tag] for tag in tags if tag in curves}


def _words(tag: str) -> str:
    return " ".join({"kl": "KL", "mmd": "MMD"}.get(word, word) for word in tag.split("_"))


def _latents(curves: Curves) -> dict[str, Curve]:
    """The latents' KL by name, the largest at the last point first."""
    found = [tag for tag in curves if tag.startswith(KL_TAG)]
    found.sort(key=lambda tag: -curves[tag][-1][1])
    return {f"z{tag.removeprefix(KL_TAG)}": curves[tag] for tag in found}


def _stack(axes: Axes, *, layers: Curves, over: Curves | None = None) -> None:
    """Draw layers as a stack at the steps of the first layer, and curves over them.

    If a layer falls below zero, as a Gaussian's -log p(x|z) may, they cannot be stacked. All are
    then drawn as lines.
    """
    steps = np.array([step for step, _ in next(iter(layers.values()))], dtype=float)
    heights = [np.interp(steps, *np.array(points).T) for points in layers.values()]
    if min(height.min() for height in heights) < 0:
        _lines(axes, curves={**layers, **(over or {})})
        return
    axes.stackplot(steps, *heights, labels=list(layers), alpha=0.85, lw=0)
    for label, points in (over or {}).items():
        axes.plot(*zip(*points, strict=True), "k--", lw=1, label=label)
    late = np.sum(heights, axis=0)[len(steps) // 10 :]
    if late.max() > 0:
        axes.set_ylim(0, 1.1 * late.max())


def _lines(axes: Axes, *, curves: Curves) -> None:
    for label, points in curves.items():
        axes.plot(*zip(*points, strict=True), lw=1, label=label)
    axes.grid(alpha=0.3)
    show_what_follows_the_start(axes)
