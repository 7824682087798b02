"""Scores against a swept hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.plots.drawing.colours import GREY, line_style
from ml.plots.drawing.sheet import COLUMN, TICK, sheet, small_letters
from ml.plots.of_studies._null_band import LABEL as NULL_LABEL
from ml.plots.of_studies._null_band import null_band
from ml.plots.of_studies._setting_names import short_name, short_names
from ml.plots.of_studies._swept import (
    Scale,
    column_label,
    column_of,
    columns_with_values,
    scale_of,
    several,
    swept_path,
    swept_values,
    usual_columns,
)
from ml.plots.protocol import NothingToDraw, StudyPlot
from ml.studies.statistics import describe
from ml.studies.study import SEED, Setting, Study, StudyRun
from ml.studies.values import counted, counted_values, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

USUAL = ("mig", "sap", "dci.disentanglement")
RECONSTRUCTION = ("elbo.reconstruction", "final.reconstruction")
MOST_LINES = 12
"""Most lines in a legend. More lines are drawn, but not named."""
INSIDE = COLUMN - 0.6
"""Width of a panel's axis in inches."""
APART = 0.012
"""Distance between the dots of two lines at the same value, as a share of the axis."""
MARKS = {
    "range": "dot: run, line: median, band: lowest to highest",
    "quartiles": "dot: run, line: median, band: quartiles",
    "interval": "dot: run, line: mean, band: its 95 % interval",
    "runs": "dot: run, line: median",
}


@dataclass(frozen=True, eq=False)
class _Line:
    """Runs that differ only in x and the seed."""

    name: str
    style: Mapping[str, str]
    at: Mapping[float, Sequence[StudyRun]]
    """Runs by their place on the x axis."""
    anywhere: Sequence[StudyRun]
    """Runs that have no value of x."""


@register
class ScoreAgainst(StudyPlot):
    """Scores and reconstruction against one swept hyperparameter, with a panel for each.

    A dot is a run. A line and a band, which `spread` chooses, sum up the dots at each value. There
    is a line for each combination of the other swept values, the seed aside. Runs that lack the
    hyperparameter, as a VAE lacks beta, are drawn as a level dashed line.

    The grey band is the scores' null: all but 2.3 % of codes that know nothing of the factors are
    below its upper end, and as many are above its lower end. An arrow shows the direction in which
    a number is better.
    """

    name: Literal["score_against"] = "score_against"
    x: str | None = None
    """Swept path; null means the first numeric one that is not the seed, or else the whole
    setting."""
    columns: Annotated[list[str], Field(min_length=1, max_length=12)] | None = None
    """Columns of the results. Null means MIG, SAP and DCI (or else the first three scores), and the
    reconstruction."""
    log_x: bool | None = None
    """Whether the x axis is logarithmic. Null means that it is if there are more than two values,
    all above 0, and the largest is at least 8 times the smallest."""
    log_y: bool = False
    """Whether the y axis is logarithmic. Panels with a number that is not above 0 stay linear."""
    spread: Literal["range", "quartiles", "interval", "runs"] = "range"
    """What line and band show: the median with the lowest and highest run (`range`), or with the
    quartiles; the mean with its 95 % interval by Student's t; or the median alone (`runs`)."""

    def draw(self, study: Study) -> Figure:
        columns = self._columns(study)
        path = self._x(study)
        scale, lines = _lines(study, path, self.log_x)
        wide = 1 if len(columns) == 1 else 2
        high = math.ceil(len(columns) / wide)
        figure = sheet(
            COLUMN * wide,
            (2.1 + scale.below(INSIDE)) * high,
            _title(study, columns, self.spread),
        )
        grid = list(figure.subplots(high, wide, squeeze=False).flat)
        for axes in grid[len(columns) :]:
            axes.set_axis_off()
        with_null = False
        for axes, column in zip(grid, columns, strict=False):
            with_null |= null_band(axes, study.runs, study.columns[column])
            beside = [line for line in lines if line.at]
            for line in lines:
                place = beside.index(line) if line.at else 0
                aside = (place - (len(beside) - 1) / 2) * APART
                _draw_line(axes, line, column, scale, self.spread, aside)
            scale.label(axes, INSIDE)
            if self.log_y:
                _log_y(axes, counted_values(study.runs, column))
            axes.set_xlabel(path or "setting")
            axes.set_ylabel(column_label(study, column))
            small_letters(axes)
        _legend(figure, lines, with_null, wide)
        return figure

    def _columns(self, study: Study) -> list[str]:
        if self.columns is not None:
            found = [column_of(study, f"columns[{k}]", name) for k, name in enumerate(self.columns)]
            there = columns_with_values(study)
            if not any(name in there for name in found):
                raise NothingToDraw(f"No run that succeeded has a value of {', '.join(found)} yet.")
            return list(dict.fromkeys(found))
        scores = usual_columns(study, USUAL)
        if not scores:
            there = columns_with_values(study)
            left = [name for name in study.score_columns if name not in RECONSTRUCTION]
            scores = [name for name in left if name in there][:3]
        columns = [*scores, *usual_columns(study, RECONSTRUCTION)[:1]]
        if not columns:
            raise NothingToDraw(
                "No run that succeeded has a score or a reconstruction yet; wait for the first,"
                " or name columns."
            )
        return columns

    def _x(self, study: Study) -> str | None:
        if self.x is not None:
            return swept_path(study, "x", self.x)
        numeric = [
            path
            for path in several(study)
            if scale_of(swept_values(study.runs, path), log=None).numeric
        ]
        alone = [
            path
            for path in study.paths
            if path != SEED and scale_of(swept_values(study.runs, path), log=None).numeric
        ]
        return next(iter([*numeric, *alone]), None)


def _title(study: Study, columns: Sequence[str], spread: str) -> str:
    runs = sum(any(counted(run, name) is not None for name in columns) for run in study.runs)
    name = f"{study.name}: " if study.name else ""
    return f"{name}{runs} run{'s' if runs != 1 else ''}; {MARKS[spread]}"


def _lines(study: Study, path: str | None, log: bool | None) -> tuple[Scale, list[_Line]]:
    if path is None:
        settings = study.settings
        names = short_names(study)
        scale = Scale(list(names.values()), numeric=False, log=False)
        at = {scale.place(names[setting]): runs for setting, runs in settings.items()}
        return scale, [_Line("", line_style(0), at, [])]
    scale = scale_of(swept_values(study.runs, path), log=log)
    grouped: dict[Setting, list[StudyRun]] = {}
    for run in study.runs:
        others = Setting(item for item in run.setting if item[0] != path)
        grouped.setdefault(others, []).append(run)
    lines = []
    for place, (others, runs) in enumerate(grouped.items()):
        along: dict[float, list[StudyRun]] = {}
        for run in runs:
            if path in run.swept:
                along.setdefault(scale.place(run.swept[path]), []).append(run)
        anywhere = [run for run in runs if path not in run.swept]
        lines.append(
            _Line(
                short_name(study, others), line_style(place), dict(sorted(along.items())), anywhere
            )
        )
    return scale, lines


def _draw_line(
    axes: Axes, line: _Line, column: str, scale: Scale, spread: str, aside: float
) -> None:
    colour, dashes = line.style["color"], line.style["linestyle"]
    places, middles, lows, highs = [], [], [], []
    for place, runs in line.at.items():
        values = counted_values(runs, column)
        if not values:
            continue
        middle, low, high = _spread(values, spread)
        places.append(place)
        middles.append(middle)
        lows.append(low)
        highs.append(high)
        axes.plot(
            [_moved(place, aside, scale)] * len(values),
            values,
            "o",
            color=colour,
            ms=3.2,
            alpha=0.75,
            mew=0,
            zorder=3,
        )
    if scale.numeric:
        axes.plot(places, middles, color=colour, ls=dashes, lw=1.4, zorder=2)
        if len(places) > 1 and lows != highs:
            axes.fill_between(places, lows, highs, color=colour, alpha=0.18, lw=0, zorder=1)
    else:
        for place, middle, low, high in zip(places, middles, lows, highs, strict=True):
            at = _moved(place, aside, scale)
            axes.plot([at - 0.22, at + 0.22], [middle] * 2, color=colour, lw=1.6, zorder=2)
            axes.plot([at, at], [low, high], color=colour, alpha=0.3, lw=5, zorder=1)
    level = counted_values(line.anywhere, column)
    if level:
        axes.axhline(_spread(level, spread)[0], color=colour, ls="--", lw=1.1, zorder=2)


def _spread(values: Sequence[float], spread: str) -> tuple[float, float, float]:
    """The middle, and the ends of the band around it."""
    middle = median(values)
    if spread == "interval":
        found = describe(values)
        assert found.mean is not None
        low, high = found.ci95 or (found.mean, found.mean)
        return found.mean, low, high
    if spread == "quartiles":
        low, high = np.quantile(values, [0.25, 0.75])
        return middle, float(low), float(high)
    if spread == "range":
        return middle, min(values), max(values)
    return middle, middle, middle


def _moved(place: float, aside: float, scale: Scale) -> float:
    """The place moved a little aside, so that dots of several lines do not hide each other."""
    if not scale.numeric:
        return place + aside * len(scale.values)
    low, high = float(min(scale.values)), float(max(scale.values))
    if scale.log:
        return place * math.exp(aside * math.log(high / low)) if high > low else place
    return place + aside * (high - low)


def _log_y(axes: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0:
        axes.set_yscale("log")
        axes.set_ylim(0.8 * min(values), 1.25 * max(values))


def _legend(figure: Figure, lines: Sequence[_Line], with_null: bool, wide: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    if len(lines) > 1:
        for line in lines[:MOST_LINES]:
            dashes = line.style["linestyle"] if line.at else "--"
            handles.append(
                Line2D(
                    [],
                    [],
                    color=line.style["color"],
                    ls=dashes,
                    lw=1.4,
                    marker="o" if line.at else None,
                    ms=3.2,
                    label=line.name,
                )
            )
        if len(lines) > MOST_LINES:
            handles.append(Line2D([], [], ls="", label=f"and {len(lines) - MOST_LINES} more"))
    if with_null:
        handles.append(Patch(facecolor=GREY, alpha=0.45, label=NULL_LABEL))
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, min(len(handles), int(COLUMN * wide / (0.07 * longest + 0.4))))
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            fontsize=TICK,
            frameon=False,
            handlelength=1.8,
            columnspacing=1.2,
        )
