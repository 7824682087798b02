"""The effect of setting a factor on each code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.plots.drawing.colours import BLUE, GREY, VERMILION
from ml.plots.drawing.sheet import LABEL, TICK, sheet
from ml.plots.of_models._factors import MOST_KINDS, varying
from ml.plots.protocol import Material, RunPlot
from ml.plots.usage import by_use

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FACTORS = 8
MOST_VALUES = 50
"""Most values of a factor. With more, it is cut into this many bins of equal width."""
BOLD_ABOVE = 1.0


@register
class InterventionalEffects(RunPlot):
    r"""How each code changes as a factor goes through its values, while the others are free.

    There is a row for each factor and a column for each latent, the most used first. A line is the
    mean code of the images with each value of the factor. Its band reaches one standard deviation
    to either side. Both are measured from the code's mean over all images, in units of its
    deviation over all images. The number in the corner is the effect, which is the range of the
    line:

    .. math:: \frac{\max_v E[z_d | v_k = v] - \min_v E[z_d | v_k = v]}{\sigma(z_d)}

    It is bold above 1. A disentangled latent has one steep line with a narrow band, in the row of
    its factor, and flat lines elsewhere. Means over few images vary by chance: their range is about
    :math:`2 / \sqrt{n}` or more with n images for each value.

    References:
        Suter et al., 2019, https://arxiv.org/abs/1811.00007
    """

    name: Literal["interventional_effects"] = "interventional_effects"
    latents: Annotated[int, Field(ge=1, le=8)] = 8
    """Most columns."""

    def draw(self, material: Material) -> Figure:
        factors = varying(material, why="there is nothing to intervene on")[:MOST_FACTORS]
        codes = material.encoded.mean.astype(np.float64)
        latents = by_use(material)[: self.latents]
        deviations = codes[:, latents].std(axis=0)
        scaled = (codes[:, latents] - codes[:, latents].mean(axis=0)) / np.where(
            deviations > 0, deviations, 1.0
        )
        figure = sheet(
            0.75 + 0.8 * max(len(latents), 4), 0.55 + 0.72 * max(len(factors), 2), material.title
        )
        # Each factor has one set of axes for all its panels, because drawing ticks takes long.
        grid = figure.subplots(len(factors), 1, squeeze=False)[:, 0]
        for axes, column in zip(grid, factors, strict=True):
            _row(axes, scaled, material.encoded.factors[:, column])
            axes.set_ylabel(material.factor_names[column], fontsize=LABEL)
        labels = [material.label(int(latent)) for latent in latents]
        grid[0].xaxis.tick_top()
        grid[0].set_xticks(np.arange(len(latents)) + 0.5, labels, fontsize=LABEL)
        figure.supxlabel("value of the factor, lowest to highest", fontsize=LABEL)
        figure.supylabel("code (own deviations)", fontsize=LABEL)
        return figure


def conditional(codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The distinct values, and the mean and deviation of codes (samples, latents) at each.

    Their shapes are (values,), (values, latents) and (values, latents).
    """
    kinds, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    totals, squares = np.zeros((2, len(kinds), codes.shape[1]))
    np.add.at(totals, place, codes)
    means = totals / counts[:, None]
    np.add.at(squares, place, (codes - means[place]) ** 2)
    return kinds, means, np.sqrt(squares / counts[:, None])


def _row(axes: Axes, scaled: np.ndarray, values: np.ndarray) -> None:
    if len(np.unique(values)) > MOST_VALUES:
        edges = np.linspace(values.min(), values.max(), MOST_VALUES + 1)
        values = ((edges[:-1] + edges[1:]) / 2)[np.digitize(values, edges[1:-1])]
    kinds, means, deviations = conditional(scaled, values)
    along = 0.08 + 0.84 * (kinds - kinds[0]) / (kinds[-1] - kinds[0])
    few = len(kinds) <= MOST_KINDS
    for latent in range(scaled.shape[1]):
        mean, deviation = means[:, latent], deviations[:, latent]
        effect = float(np.ptp(mean))
        strong = effect > BOLD_ABOVE
        colour = VERMILION if strong else BLUE
        x = latent + along
        axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)
        axes.plot(x, mean, color=colour, lw=1.2, marker="o" if few else None, ms=2.5)
        axes.text(
            latent + 0.95,
            0.97,
            f"{effect:.1f}",
            transform=axes.get_xaxis_transform(),
            ha="right",
            va="top",
            fontsize=TICK,
            color=colour,
            fontweight="bold" if strong else "normal",
        )
        if latent:
            axes.axvline(latent, color=GREY, lw=0.6)
    axes.axhline(0, color=GREY, lw=0.5, ls=":", zorder=0)
    axes.set_xlim(0, scaled.shape[1])
    axes.set_ylim(-2.6, 3.2)
    axes.set_xticks([])
    axes.set_yticks([-2, 0, 2])
    axes.tick_params(labelsize=TICK, length=2.5, pad=2)
    axes.spines[:].set_color(GREY)
