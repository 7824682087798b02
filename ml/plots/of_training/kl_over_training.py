"""The KL of each latent during training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ml.codes.latents import KL_TAG, is_used
from ml.components.registry import register
from ml.plots.drawing.colours import GREY, line_style
from ml.plots.drawing.direct_labels import label_ends
from ml.plots.drawing.sheet import COLUMN, sheet, show_what_follows_the_start, small_letters
from ml.plots.protocol import Curve, Material, Needs, NothingToDraw, RunPlot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 20
HEIGHT = 2.5
MOST_NAMES = 25
CELLS = 200
"""Columns of the heat map."""
DARKEST_NATS = 1e-3
"""The lowest KL on a logarithmic axis and in the colours of the heat map."""


@register
class KLOverTraining(RunPlot):
    """When each latent came into use: its KL to the prior, in nats, against the training step.

    There is a line for each latent. Used latents (above 0.01 nats at the end) are in colour, with
    their names at the right end; the others are in grey. More than 20 latents are drawn as a heat
    map, with a row for each latent and the largest final KL on top. Thin upright lines are the
    steps whose weights were kept as snapshots. The KL is that of training batches. A linear axis is
    bounded by the points after the first tenth, as the first steps dwarf the rest.
    """

    needs: ClassVar[Needs] = frozenset({"snapshots"})
    name: Literal["kl_over_training"] = "kl_over_training"
    log_x: bool = False
    """Whether steps are on a logarithmic axis. Latents often come into use one by one early on."""
    log_y: bool = False
    """Whether the KL is on a logarithmic axis, which begins at 0.001 nats."""

    def draw(self, material: Material) -> Figure:
        curves = _of_latents(material)
        if not curves:
            raise NothingToDraw(
                "No curve of a latent's KL was logged: the objective has no KL, or the run has not"
                " trained yet; choose a run of a variational autoencoder that has begun."
            )
        used = sum(is_used(points[-1][1]) for points in curves.values())
        many = len(curves) > MOST_LINES
        height = HEIGHT if not many else min(4.5, 1.7 + 0.05 * len(curves))
        figure = sheet(COLUMN, height, material.title)
        axes = figure.subplots()
        if self.log_x:
            axes.set_xscale("log")
        if many:
            self._heat_map(figure, axes, material, curves)
        else:
            self._lines(axes, material, curves)
        axes.set_title(f"{used} of {len(curves)} latents used at the end")
        axes.set_xlabel("step")
        small_letters(axes)
        return figure

    def _lines(self, axes: Axes, material: Material, curves: dict[int, Curve]) -> None:
        ends = []
        for place, (latent, points) in enumerate(curves.items()):
            steps, values = np.array(points, dtype=float).T
            style = line_style(place) if is_used(values[-1]) else {"color": GREY, "zorder": 1}
            mark = "o" if len(points) == 1 else None
            shown = values.clip(min=DARKEST_NATS) if self.log_y else values
            [line] = axes.plot(steps, shown, lw=0.9, marker=mark, ms=3, **style)
            if is_used(values[-1]):
                ends.append((float(shown[-1]), material.label(latent), str(line.get_color())))
        if self.log_y:
            axes.set_yscale("log")
        else:
            show_what_follows_the_start(axes)
        first = min(points[0][0] for points in curves.values())
        last = max(points[-1][0] for points in curves.values())
        if last > first:
            axes.set_xlim(first if self.log_x else 0, last)
        axes.set_ylabel("KL (nats)")
        axes.grid(alpha=0.25, lw=0.5)
        _mark_snapshots(axes, material, GREY, zorder=0.5)
        if ends:
            label_ends(axes, ends, inches=0.7 * HEIGHT)

    def _heat_map(
        self, figure: Figure, axes: Axes, material: Material, curves: dict[int, Curve]
    ) -> None:
        from matplotlib.colors import LogNorm

        first = min(points[0][0] for points in curves.values())
        last = max(max(points[-1][0] for points in curves.values()), first + 1)
        spaced = np.geomspace if self.log_x else np.linspace
        edges = spaced(max(first, 1), last, CELLS + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        heights = np.stack([np.interp(middles, *np.array(curves[k]).T) for k in curves])
        most = max(float(heights.max()), 10 * DARKEST_NATS)
        mesh = axes.pcolormesh(
            edges,
            np.arange(len(curves) + 1) - 0.5,
            heights.clip(min=DARKEST_NATS) if self.log_y else heights,
            cmap="cividis",
            norm=LogNorm(DARKEST_NATS, most) if self.log_y else None,
            rasterized=True,
        )
        axes.invert_yaxis()
        every = math.ceil(len(curves) / MOST_NAMES)
        axes.set_yticks(
            range(0, len(curves), every), [material.label(k) for k in list(curves)[::every]]
        )
        bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=40)
        bar.set_label("KL (nats)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        _mark_snapshots(axes, material, "white", zorder=2)


def _of_latents(material: Material) -> dict[int, Curve]:
    """The curves that have points, by latent, the largest final KL first."""
    found = {
        int(tag.removeprefix(KL_TAG)): [point for point in points if math.isfinite(point[1])]
        for tag, points in material.scalars.items()
        if tag.startswith(KL_TAG)
    }
    drawn = {latent: points for latent, points in found.items() if points}
    return dict(sorted(drawn.items(), key=lambda item: -item[1][-1][1]))


def _mark_snapshots(axes: Axes, material: Material, colour: str, *, zorder: float) -> None:
    left, right = axes.get_xlim()
    for snapshot in material.snapshots:
        if left <= snapshot.step <= right:
            axes.axvline(snapshot.step, color=colour, lw=0.6, alpha=0.6, zorder=zorder)
