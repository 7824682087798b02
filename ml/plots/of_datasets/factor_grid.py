"""The factors of a data set, or examples of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.components.spec_errors import Fault, InvalidSpec
from ml.datasets.dataset import Dataset, in_unit_range
from ml.plots.drawing.colours import VERMILION
from ml.plots.drawing.letters import inches
from ml.plots.drawing.sheet import LABEL, PAGE, TICK, sheet
from ml.plots.drawing.tiles import show_tiles, tiles
from ml.plots.protocol import DatasetPlot
from ml.reproducibility.draws import generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.04
BELOW = 0.22
"""Room between images and under each, in heights of an image."""
MOST_CLASSES = 20
ROWS_OF_EXAMPLES = 6
ASIDE = 0.15
"""Room beside the names of rows, in inches."""


@register
class FactorGrid(DatasetPlot):
    """What each factor does to an image, with a row for each factor.

    In its row, a factor goes through its values; if there are more values than columns, they are
    chosen evenly. The other factors stay as in the base image, which is framed in every row. The
    factor's value is written under each image.

    For a data set that is not a full grid of its factors, the picture shows examples. If it has one
    factor, which is discrete, there is a row for each class, without images whose class is not
    known; otherwise the examples are spread over the data set.
    """

    name: Literal["factor_grid"] = "factor_grid"
    base: Annotated[int, Field(ge=0)] | None = None
    """Index of the base image; null means the middle of the grid."""
    columns: Annotated[int, Field(ge=2, le=20)] = 12
    """Most images in a row."""

    def draw(self, data: Dataset) -> Figure:
        """Draw the picture.

        Raises:
            InvalidSpec: the base is no image of the data set, or the data set is no grid.
        """
        if self.base is not None and not (data.is_grid and data.factor_names):
            raise InvalidSpec([Fault("base", self.base, f"null, as {data.name} is no full grid")])
        if self.base is not None and self.base >= len(data):
            raise InvalidSpec([Fault("base", self.base, f"an image, 0 to {len(data) - 1}")])
        if data.is_grid and data.factor_names:
            return self._factors(data)
        if data.factor_kinds == ("discrete",) and len(data.labelled()):
            return self._classes(data)
        return self._examples(data)

    def _factors(self, data: Dataset) -> Figure:
        if self.base is None:
            base = np.array(data.factor_sizes) // 2
        else:
            base = np.array(np.unravel_index(self.base, data.factor_sizes))
        rows, labels, names, framed = [], [], [], []
        for column, (name, size) in enumerate(
            zip(data.factor_names, data.factor_sizes, strict=True)
        ):
            values = through(size, self.columns, int(base[column]))
            factors = np.tile(base, (len(values), 1))
            factors[:, column] = values
            rows.append(in_unit_range(data, data.index(factors)))
            labels.append([_called(data, name, value) for value in values])
            names.append(f"{name} ({size})")
            framed.append(int(np.flatnonzero(values == base[column])[0]))
        return self._drawn(data, rows, names, labels, framed)

    def _classes(self, data: Dataset) -> Figure:
        of_images = data.factors(slice(None))
        assert of_images is not None
        kinds = np.unique(of_images[data.labelled(), 0])
        draws = generator(0, "examples of each class")
        rows = []
        for kind in kinds[:MOST_CLASSES]:
            index = np.flatnonzero(of_images[:, 0] == kind)
            chosen = draws.choice(index, min(self.columns, len(index)), replace=False)
            rows.append(in_unit_range(data, np.sort(chosen)))
        factor = data.factor_names[0]
        names = [f"{factor} {_called(data, factor, kind)}" for kind in kinds[:MOST_CLASSES]]
        return self._drawn(data, rows, names, [], [])

    def _examples(self, data: Dataset) -> Figure:
        count = min(len(data), self.columns * ROWS_OF_EXAMPLES)
        # Examples are spread evenly over the data set, which is often sorted.
        index = (np.arange(count) + 0.5) * len(data) / max(count, 1)
        images = in_unit_range(data, index.astype(np.int64))
        rows = [images[start : start + self.columns] for start in range(0, count, self.columns)]
        return self._drawn(data, rows, [], [], [])

    def _drawn(
        self,
        data: Dataset,
        rows: list[np.ndarray],
        names: list[str],
        labels: list[list[str]],
        framed: list[int],
    ) -> Figure:
        height, width, _ = data.image_shape
        gap, below = max(1, round(GAP * height)), round(BELOW * height) if labels else 0
        columns = max((len(row) for row in rows), default=1)
        blank = np.ones((columns, *data.image_shape), dtype=np.float32)
        filled = [np.concatenate([row, blank[len(row) :]]) for row in rows] or [blank]
        drawn = tiles(np.concatenate(filled), columns, gap=gap, below=below)
        aside = max((inches(name, LABEL) for name in names), default=0.0) + ASIDE
        wide = min(PAGE, aside + 0.53 * columns)
        high = (wide - aside) * drawn.shape[0] / drawn.shape[1]
        figure = sheet(wide, high + 0.1, _title(data))
        axes = figure.subplots()
        show_tiles(axes, drawn)
        row_height, column_width = height + gap + below, width + gap
        if names:
            middles = np.arange(len(names)) * row_height + (height - 1) / 2
            axes.set_yticks(middles, names, fontsize=LABEL)
            axes.tick_params(length=0, pad=3)
        for row, texts in enumerate(labels):
            for column, text in enumerate(texts):
                x = column * column_width + (width - 1) / 2
                axes.text(
                    x, row * row_height + height, text, ha="center", va="top", fontsize=TICK - 1
                )
        for row, column in enumerate(framed):
            _frame(axes, column * column_width, row * row_height, width, height)
        return figure


def through(size: int, most: int, base: int) -> np.ndarray:
    """At most `most` of the values 0 to size - 1, chosen evenly, with the base among them."""
    if size <= most:
        return np.arange(size)
    chosen = np.linspace(0, size - 1, most).round().astype(np.int64)
    inner = slice(1, -1) if most > 2 and 0 < base < size - 1 else slice(None)
    nearest = np.abs(chosen[inner] - base).argmin() + (inner.start or 0)
    chosen[nearest] = base
    return chosen


def _called(data: Dataset, factor: str, value: int) -> str:
    """What a value of a factor is called: its name, or else its number."""
    names = data.factor_values.get(factor)
    return str(value) if names is None else names[value]


def _title(data: Dataset) -> str:
    height, width, channels = data.image_shape
    kind = "grey" if channels == 1 else "colour" if channels == 3 else f"{channels} channels"
    return f"{data.name}: {len(data):,} images, {height} x {width}, {kind}"


def _frame(axes: Axes, x: float, y: float, width: int, height: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (x - 0.5, y - 0.5), width, height, fill=False, ec=VERMILION, lw=1.2, clip_on=False
        )
    )
