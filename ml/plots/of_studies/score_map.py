"""A score over two swept values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml.components.registry import register
from ml.components.spec_errors import Fault, InvalidSpec
from ml.plots.drawing.colours import GREY
from ml.plots.drawing.letters import alike, inches
from ml.plots.drawing.sheet import COLUMN, LABEL, TICK, sheet, small_letters
from ml.plots.of_studies._map_cells import (
    BETA_NORM,
    Cell,
    Side,
    Span,
    cells_of,
    is_beta,
    lies_on,
    side_of,
    unit_beta,
)
from ml.plots.of_studies._setting_names import short_path
from ml.plots.of_studies._swept import (
    column_label,
    is_number,
    score_with_values,
    several,
    swept_path,
    swept_values,
)
from ml.plots.protocol import NothingToDraw, StudyPlot
from ml.studies.study import Study, StudyRun
from ml.studies.values import counted, counted_values, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

NUMBER = TICK - 1
"""Size of the numbers in cells, in points."""
GAP = 0.6
"""Room between cells, in points. It is smaller between small cells."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness that people see."""
LINE = 1.4 / 72
"""Height of a line in inches, for each point of its letters."""
LONGEST_TICK = 20
"""Most letters of a value on the y axis."""
BESIDE_MAP, BELOW_MAP = 1.3, 0.6
"""Inches that labels and the colour bar take, without the ticks of the y axis."""
LOWEST, HIGHEST = 2.4, 6.0
"""Least and greatest height of a map, in inches."""
ROWS_OF_BETA_NORM = 10
COLOURS = {True: "YlGnBu", False: "YlGnBu_r", None: "Greys"}
"""Colour maps by whether higher is better. Darker is better, or more in grey."""
LABELS = {BETA_NORM: "beta_norm (β × latents / pixels)"}


@register
class ScoreMap(StudyPlot):
    """A score over two swept values, as a heat map.

    A cell shows the median over all runs that succeeded with its two values, whatever their other
    swept values. Cells without such a run are hatched. Darker is better. If neither direction is
    better, the map is grey, and darker is more. Numbers keep their distances on a linear or
    logarithmic axis, unless some cells became too narrow. All other values are spaced evenly.

    Beta over the number of latents is drawn as normalised beta, which is beta x latents / pixels
    (figure 6 of Higgins et al., 2017), if it is above 0 in every run. Each number of latents then
    has cells of its own. A line shows where beta is 1.
    """

    name: Literal["score_map"] = "score_map"
    score: str | None = None
    """Column of the results; null means MIG, or else the first column that has values."""
    x: str | None = None
    """Swept path, or `beta_norm`. Null means the first numeric path with two values or more that is
    not y, or else the first path."""
    y: str | None = None
    """Swept path, or `beta_norm`. Null means beta if another number was swept (`beta_norm` if x is
    the number of latents), or else it is chosen like x."""

    def draw(self, study: Study) -> Figure:
        x, y = (
            None if path is None else swept_path(study, param, path, besides=[BETA_NORM])
            for param, path in (("x", self.x), ("y", self.y))
        )
        if x is not None and x == y:
            raise InvalidSpec([Fault("y", y, "another path than that of x")])
        score = score_with_values(study, "score", self.score)
        x, y = _paths(study, score, x, y)
        runs = [run for run in study.runs if lies_on(run, x) and lies_on(run, y)]
        if not counted_values(runs, score):
            raise NothingToDraw(f"No run with a value of {score} has both {x} and {y}.")
        return _map(study, score, runs, x, y)


def _paths(study: Study, score: str, x: str | None, y: str | None) -> tuple[str, str]:
    """The paths of the two axes. Those that were not asked for are chosen."""
    asked = [path for path in (x, y) if path is not None]
    left = [
        path
        for path in several(study)
        if path not in asked and not (BETA_NORM in asked and is_beta(path))
    ]
    if len(asked) + len(left) < 2:
        there = len(several(study))
        raise NothingToDraw(
            "A map needs two swept paths, the seed aside, with two values or more each, and there"
            f" {'is' if there == 1 else 'are'} {there or 'none'}; sweep over another."
        )
    numeric = [path for path in left if all(map(is_number, swept_values(study.runs, path)))]
    others = [path for path in numeric if not is_beta(path)]
    betas = [path for path in numeric if is_beta(path)]
    first = x if x is not None else [*others, *left][0]
    second = y if y is not None else next(path for path in [*betas, *left] if path != first)
    if y is None and _normalised(study, score, latents=first, beta=second):
        return first, BETA_NORM
    if x is None and _normalised(study, score, latents=second, beta=first):
        return BETA_NORM, second
    return first, second


def _normalised(study: Study, score: str, *, latents: str, beta: str) -> bool:
    """Whether the paths are latents and beta, and all runs that count have `beta_norm` above 0."""
    norms = [run.beta_norm for run in study.runs if counted(run, score) is not None]
    return (
        latents.rpartition(".")[2] == "latent_dim"
        and is_beta(beta)
        and all(norm is not None and 0 < norm < math.inf for norm in norms)
    )


def _map(study: Study, score: str, runs: Sequence[StudyRun], x: str, y: str) -> Figure:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    across, up = side_of(runs, x), side_of(runs, y)
    cells = cells_of(runs, score, across, up)
    there = [cell for cell in cells if cell.value is not None]
    wide = min(cell.x[0] for cell in cells), max(cell.x[1] for cell in cells)
    high = min(cell.y[0] for cell in cells), max(cell.y[1] for cell in cells)
    rows = len({cell.y for cell in cells}) if up.scale else ROWS_OF_BETA_NORM
    height = min(HIGHEST, max(LOWEST, BELOW_MAP + 0.2 * rows))
    room = COLUMN - BESIDE_MAP - _longest(up), height - BELOW_MAP
    below = 0.0 if across.scale is None else across.scale.below(room[0])

    figure = sheet(COLUMN, height + below, _title(study, score, cells, x, y))
    axes = figure.subplots()
    _label(axes, across, up, room)
    axes.set_xlim(wide)
    axes.set_ylim(high)
    _label_few_decades(axes.xaxis, across, wide)
    _label_few_decades(axes.yaxis, up, high)

    values = np.array([cell.value for cell in there], dtype=np.float64)
    shown = ScalarMappable(
        _norm(values.min(), values.max()),
        colormaps[COLOURS[study.columns[score].higher_is_better]],
    )
    colours = shown.to_rgba(values)
    sizes = [
        (across.share(cell.x, wide) * room[0], up.share(cell.y, high) * room[1]) for cell in there
    ]
    _draw_cells(axes, there, colours, gap=min(GAP, 6 * min(map(min, sizes))))
    _hatch(axes, [cell for cell in cells if cell.value is None])
    texts = alike(values)
    if all(
        width > inches(text, NUMBER) + 0.03 and height > LINE * NUMBER
        for (width, height), text in zip(sizes, texts, strict=True)
    ):
        places = [(across.middle(cell.x), up.middle(cell.y)) for cell in there]
        _write_numbers(axes, places, texts, colours)

    _draw_unit_beta(axes, runs, across, up)
    bar = figure.colorbar(shown, ax=axes, pad=0.03, aspect=25)
    bar.set_label(column_label(study, score), fontsize=LABEL)
    bar.ax.tick_params(labelsize=TICK, length=2.5, pad=2)
    bar.outline.set_visible(False)
    return figure


def _norm(low: float, high: float) -> Normalize:
    # If all values are equal, they get the middle colour.
    from matplotlib.colors import Normalize

    beside = 0.0 if low < high else abs(low) / 10 or 0.1
    return Normalize(low - beside, high + beside)


def _title(study: Study, score: str, cells: Sequence[Cell], x: str, y: str) -> str:
    counts = [cell.runs for cell in cells if cell.value is not None]
    fewest, most = min(counts), max(counts)
    count = f"{most}" if fewest == most else f"{fewest} to {most}"
    others = [
        short_path(path, study.paths)
        for path in several(study)
        if path not in (x, y) and not (BETA_NORM in (x, y) and is_beta(path))
    ]
    return "".join(
        [
            f"{study.name}: " if study.name else "",
            f"{score}, median of {count} run{'s' if most > 1 else ''} a cell",
            f" (any {', '.join(others)})" if others else "",
            "; hatched: none" if any(cell.value is None for cell in cells) else "",
        ]
    )


def _longest(side: Side) -> float:
    """Width in inches of the longest tick of a y axis."""
    if side.scale is None:
        return inches("0.000", TICK)
    return max(inches(_tick(value), TICK) for value in side.scale.values)


def _tick(value: object) -> str:
    name = plain(value)
    return name if len(name) <= LONGEST_TICK else f"{name[: LONGEST_TICK - 1]}…"


def _label(axes: Axes, across: Side, up: Side, room: tuple[float, float]) -> None:
    wide, high = room
    if across.log:
        axes.set_xscale("log")
    if up.log:
        axes.set_yscale("log")
    if across.scale is not None:
        across.scale.label(axes, wide)
    if up.scale is not None:
        axes.yaxis.minorticks_off()
        every = math.ceil(len(up.scale.values) * LINE * TICK / high)
        shown = up.scale.values[::every]
        axes.set_yticks([up.scale.place(one) for one in shown], [_tick(one) for one in shown])
    axes.set_xlabel(LABELS.get(across.path, across.path))
    axes.set_ylabel(LABELS.get(up.path, up.path))
    small_letters(axes)


def _label_few_decades(axis: Axis, side: Side, span: Span) -> None:
    """Set ticks beside powers of ten, if a logarithmic axis has hardly any of these."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if side.scale is None and side.log and span[1] / span[0] < 100:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def _draw_cells(axes: Axes, cells: Sequence[Cell], colours: np.ndarray, *, gap: float) -> None:
    from matplotlib.collections import PatchCollection

    frames = PatchCollection(
        [_frame(cell) for cell in cells], facecolors=colours, edgecolors="white", linewidths=gap
    )
    axes.add_collection(frames, autolim=False)


def _hatch(axes: Axes, cells: Sequence[Cell]) -> None:
    for cell in cells:
        axes.add_patch(_frame(cell, hatch="/////", facecolor="white", edgecolor=GREY, lw=0))


def _frame(cell: Cell, **style: Any) -> Rectangle:
    from matplotlib.patches import Rectangle

    (left, right), (bottom, top) = cell.x, cell.y
    return Rectangle((left, bottom), right - left, top - bottom, **style)


def _write_numbers(
    axes: Axes, places: Sequence[tuple[float, float]], texts: Sequence[str], colours: np.ndarray
) -> None:
    for place, text, colour in zip(places, texts, colours, strict=True):
        axes.text(
            *place,
            text,
            ha="center",
            va="center",
            fontsize=NUMBER,
            color="white" if np.dot(colour[:3], LUMINANCE) < 0.5 else "black",
            # The line of beta 1 may run through the middle of a cell. The box hides it there.
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.4},
            zorder=4,
        )


def _draw_unit_beta(axes: Axes, runs: Sequence[StudyRun], across: Side, up: Side) -> None:
    """Draw the line on which beta is 1, with its name at the end."""
    level = is_beta(up.path)
    if not level and not is_beta(across.path):
        return
    beta, other = (up, across) if level else (across, up)
    steps = [(span, unit_beta(beta, some)) for span, some in other.cut(runs)]
    ends = axes.get_ylim() if level else axes.get_xlim()
    inside = [(span, one) for span, one in steps if one is not None and ends[0] <= one <= ends[1]]
    if not inside:
        return
    along = [edge for span, _ in steps for edge in span]
    ones = [math.nan if one is None else one for _, one in steps for _ in range(2)]
    line = (along, ones) if level else (ones, along)
    axes.plot(*line, color="white", lw=2.2, zorder=3)
    axes.plot(*line, color="black", lw=1.0, zorder=3)
    (_, end), one = inside[-1]
    axes.annotate(
        "β = 1",
        (end, one) if level else (one, end),
        xytext=(3, 0) if level else (0, 3),
        textcoords="offset points",
        ha="left" if level else "center",
        va="center" if level else "bottom",
        fontsize=TICK,
        annotation_clip=False,
    )
