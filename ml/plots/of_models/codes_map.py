"""A map of the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ml.components.registry import register
from ml.components.spec_errors import Fault, InvalidSpec
from ml.plots.drawing.colours import BLUE, KINDS, cycle
from ml.plots.drawing.sheet import LABEL, TICK, sheet
from ml.plots.of_models._factors import MOST_KINDS, column_of, is_cyclic
from ml.plots.protocol import Material, NothingToDraw, RunPlot
from ml.plots.usage import by_use
from ml.reproducibility.draws import generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 6
COLUMNS = 2
PANEL = 3.4
FEWEST_FOR_UMAP = 16
"""Fewest images for UMAP, whose neighbourhoods have 15."""


@dataclass(frozen=True)
class _Map:
    """The place of each row, and the labels of the axes."""

    places: np.ndarray
    """Places in the plane, (samples, 2)."""
    x: str
    y: str


@register
class CodesMap(RunPlot):
    """Codes in the plane, with a dot for each image, coloured by factor or class.

    `method` says how codes become places:

    - `plane`: by two latents as they are: those of `x` and `y`, or else the two most used.
    - `pca`: along the two directions in which codes vary most. Labels state their shares of the
      variance.
    - `umap`: so that neighbourhoods are kept, but not distances (15 neighbours, seed 0). The first
      map of a process takes about half a minute, as it is compiled, and later ones about ten
      seconds.
    - `auto`: by the plane if there are two latents or `x` or `y` is given, or else by PCA.

    There is a panel for each factor that varies (at most six), or only that of `colour`. A factor
    with up to ten values has a colour for each value. Other factors have a colour scale, which is
    cyclic for orientation and azimuth. If there is only one latent, dots are spread at random along
    the other axis.

    References:
        McInnes et al., 2018, https://arxiv.org/abs/1802.03426
    """

    name: Literal["codes_map"] = "codes_map"
    method: Literal["auto", "plane", "pca", "umap"] = "auto"
    """How codes become places in the plane."""
    x: Annotated[int, Field(ge=0)] | None = None
    """Latent that grows from left to right, for the plane. Null means the most used one other than
    `y`."""
    y: Annotated[int, Field(ge=0)] | None = None
    """Latent that grows upwards, for the plane. Null means the most used one other than `x`."""
    colour: str | None = None
    """Name of the factor that colours the dots; null means a panel for each factor."""
    rows: Annotated[int, Field(ge=2, le=20_000)] = 2000
    """Number of images: the first of those that were evaluated."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> CodesMap:
        if self.method in ("pca", "umap") and (self.x, self.y) != (None, None):
            raise ValueError("x and y are for method plane")
        if self.x is not None and self.x == self.y:
            raise ValueError("x and y are two different latents")
        return self

    def draw(self, material: Material) -> Figure:
        latents = material.encoded.mean.shape[1]
        for param in ("x", "y"):
            chosen = getattr(self, param)
            if chosen is not None and chosen >= latents:
                raise InvalidSpec([Fault(param, chosen, f"a latent, 0 to {latents - 1}")])
        columns = self._factors(material)
        found = self._map(material)
        wide = min(COLUMNS, len(columns))
        high = math.ceil(len(columns) / wide)
        figure = sheet(PANEL * wide, (PANEL - 0.5) * high, material.title)
        grid = list(figure.subplots(high, wide, squeeze=False).flat)
        for axes in grid[len(columns) :]:
            axes.set_axis_off()
        for axes, column in zip(grid, columns, strict=False):
            _dots(figure, axes, found, material, column)
        return figure

    def _factors(self, material: Material) -> list[int | None]:
        if self.colour is not None:
            return [column_of(material, "colour", self.colour)]
        factors = material.encoded.factors[: self.rows]
        found = [k for k in range(len(material.factor_names)) if np.ptp(factors[:, k]) > 0]
        return [*found[:MOST_PANELS]] or [None]

    def _map(self, material: Material) -> _Map:
        codes = material.encoded.mean[: self.rows].astype(np.float64)
        latents = codes.shape[1]
        if latents == 1:
            aside = generator(0, "scatter of a single latent").uniform(size=len(codes))
            return _Map(np.stack([codes[:, 0], aside], axis=1), f"{material.label(0)} (code)", "")
        given = (self.x, self.y) != (None, None)
        if self.method == "umap":
            return _Map(_umap(codes), "UMAP 1", "UMAP 2")
        if self.method == "plane" or given or (self.method == "auto" and latents == 2):
            x, y = self._plane(material)
            return _Map(
                codes[:, [x, y]], f"{material.label(x)} (code)", f"{material.label(y)} (code)"
            )
        places, shares = principal_plane(codes)
        return _Map(
            places,
            f"first principal component ({shares[0]:.0%} of variance)",
            f"second ({shares[1]:.0%})",
        )

    def _plane(self, material: Material) -> tuple[int, int]:
        if material.encoded.mean.shape[1] == 2 and self.x is None and self.y is None:
            return 0, 1
        left = [int(k) for k in by_use(material) if k not in (self.x, self.y)]
        x = self.x if self.x is not None else left.pop(0)
        return x, self.y if self.y is not None else left.pop(0)


def principal_plane(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (samples, latents) along the two directions in which they vary most.

    Returns places (samples, 2), and the directions' shares of the whole variance, which are 0 for
    codes that do not vary. The sign of a direction is such that its largest weight is positive, so
    that equal codes give equal pictures on every machine.
    """
    centred = codes - codes.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    whole = float((singular**2).sum())
    shares = singular[:2] ** 2 / (whole or 1.0)
    return centred @ directions.T, shares


def _umap(codes: np.ndarray) -> np.ndarray:
    if len(codes) < FEWEST_FOR_UMAP:
        raise NothingToDraw(
            f"UMAP needs at least {FEWEST_FOR_UMAP} images, but there are {len(codes)}; choose the"
            " method pca."
        )
    # Imported only here, as importing and first using it compile for a while.
    from umap import UMAP

    places: np.ndarray = UMAP(random_state=0, n_jobs=1).fit_transform(codes)
    return places


def _dots(figure: Figure, axes: Axes, found: _Map, material: Material, column: int | None) -> None:
    axes.set_xlabel(found.x, fontsize=LABEL)
    axes.set_ylabel(found.y, fontsize=LABEL)
    axes.tick_params(labelsize=TICK, length=2.5, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    if not found.y:
        axes.set_yticks([])
    x, y = found.places.T
    size = float(np.clip(9000 / len(x), 2.0, 14.0))
    if column is None:
        axes.scatter(x, y, s=size, c=BLUE, alpha=0.6, lw=0, rasterized=True)
        return
    name = material.factor_names[column]
    axes.set_title(name, fontsize=LABEL)
    values = material.encoded.factors[: len(x), column]
    kinds = np.unique(values)
    if len(kinds) <= MOST_KINDS:
        for kind, colour in zip(kinds, KINDS, strict=False):
            of_kind = values == kind
            axes.scatter(
                x[of_kind],
                y[of_kind],
                s=size,
                c=colour,
                alpha=0.75,
                lw=0,
                label=f"{kind:g}",
                rasterized=True,
            )
        axes.legend(
            fontsize=TICK,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            handletextpad=0.0,
            borderpad=0.0,
            markerscale=math.sqrt(18 / size),
        )
        return
    shown = axes.scatter(
        x,
        y,
        s=size,
        c=values,
        cmap=cycle() if is_cyclic(name) else "viridis",
        alpha=0.75,
        lw=0,
        rasterized=True,
    )
    bar = figure.colorbar(shown, ax=axes, pad=0.02, aspect=30)
    assert bar.solids is not None
    bar.solids.set_alpha(1)
    bar.ax.tick_params(labelsize=TICK, length=2.5)
    bar.outline.set_visible(False)
