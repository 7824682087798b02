"""One representation under every predictor of DCI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ml.components.registry import register
from ml.metrics.protocol import Score
from ml.plots.drawing.colours import LINES
from ml.plots.drawing.matrix import show_matrix
from ml.plots.drawing.sheet import LABEL, PAGE, TICK, sheet
from ml.plots.of_models._dci_scores import newest_dci
from ml.plots.protocol import Material, Needs, RunPlot
from ml.plots.usage import by_use

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERS = {
    "disentanglement": ("disentanglement",),
    "completeness": ("completeness",),
    "informativeness": ("informativeness_test", "informativeness"),
}
"""The groups of bars, each with the numbers that it may show; numbers on test rows come first."""
ACROSS = 3


@register
class DCIPredictors(RunPlot):
    """How much the choice of predictor decides DCI: the run's newest scores with each predictor.

    The bars above are disentanglement, completeness and informativeness (on test rows for
    classifiers). If a score has them, a whisker is its 95 % interval, and a white line the mean of
    its null. Below is each predictor's matrix of importance, divided by its largest entry. It has a
    row for each factor, and the most used latents at the left. Informativeness is accuracy for
    classifiers and a share of variance for regressions, so compare predictors by the other two.
    """

    needs: ClassVar[Needs] = frozenset({"scores"})
    name: Literal["dci_predictors"] = "dci_predictors"

    def draw(self, material: Material) -> Figure:
        found = newest_dci(material)
        across = min(ACROSS, len(found))
        down = math.ceil(len(found) / across)
        most_factors = max(len(one["disentanglement"].details["factors"]) for one in found.values())
        low = 0.55 + 0.17 * most_factors
        figure = sheet(PAGE, 2.0 + low * down, material.title)
        above, below = figure.subfigures(2, 1, height_ratios=[2.0, low * down], squeeze=False)[:, 0]
        _bars(above.subplots(), found)
        panels = list(below.subplots(down, across, squeeze=False).flat)
        for axes in panels[len(found) :]:
            axes.set_axis_off()
        order = by_use(material)
        image = None
        for place, (axes, (predictor, scores)) in enumerate(
            zip(panels, found.items(), strict=False)
        ):
            details = scores["disentanglement"].details
            importance = np.array(details["importance"])[order].T
            image = show_matrix(
                axes,
                importance / (importance.max() or 1.0),
                rows=details["factors"],
                columns=[material.label(int(latent)) for latent in order],
                numbers=False,
            )
            axes.set_title(predictor.replace("_", " "), fontsize=LABEL, color=_colour(place))
            if place % across:
                axes.set_yticks([])
        bar = below.colorbar(image, ax=panels, pad=0.01, aspect=25)
        bar.set_label("importance / largest", fontsize=LABEL)
        bar.ax.tick_params(labelsize=TICK, length=2.5)
        bar.outline.set_visible(False)
        return figure


def _bars(axes: Axes, found: Mapping[str, Mapping[str, Score]]) -> None:
    width = 0.84 / len(found)
    for place, (predictor, scores) in enumerate(found.items()):
        label: str | None = predictor.replace("_", " ")
        for group, names in enumerate(NUMBERS.values()):
            score = next((scores[name] for name in names if name in scores), None)
            if score is None or score.value is None:
                continue
            x = group + (place - (len(found) - 1) / 2) * width
            axes.bar(
                x,
                score.value,
                0.92 * width,
                color=_colour(place),
                label=label,
            )
            # Only a predictor's first bar has an entry in the legend.
            label = None
            top = score.value
            if score.ci95 is not None:
                axes.plot([x, x], score.ci95, color="black", lw=0.9)
                top = score.ci95[1]
            if score.null is not None:
                half = 0.46 * width
                axes.plot([x - half, x + half], [score.null.mean] * 2, color="white", lw=1.6)
                axes.plot(
                    [x - half, x + half], [score.null.mean] * 2, color="black", lw=0.7, ls=":"
                )
            axes.text(x, top + 0.02, f"{score.value:.2f}", ha="center", va="bottom", fontsize=TICK)
    axes.set_xticks(range(len(NUMBERS)), list(NUMBERS), fontsize=LABEL)
    axes.set_ylim(0, 1.12)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.tick_params(labelsize=TICK, length=2.5, pad=2)
    axes.tick_params(axis="x", labelsize=LABEL, length=0)
    axes.grid(axis="y", alpha=0.25, lw=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=TICK, frameon=False, ncols=len(found), loc="lower center", bbox_to_anchor=(0.5, 1)
    )


def _colour(place: int) -> str:
    return LINES[place % len(LINES)]
