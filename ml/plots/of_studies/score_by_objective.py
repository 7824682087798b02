"""How a score is distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ml.components.registry import register
from ml.plots.drawing.colours import GREY, LINES
from ml.plots.drawing.sheet import COLUMN, PAGE, TICK, sheet, small_letters
from ml.plots.of_studies._null_band import LABEL as NULL_LABEL
from ml.plots.of_studies._null_band import null_band
from ml.plots.of_studies._swept import column_label, score_with_values, swept_path, swept_values
from ml.plots.protocol import NothingToDraw, StudyPlot
from ml.studies.study import Study, StudyRun
from ml.studies.values import counted_values, median, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBJECTIVE = "objective"
FEWEST_FOR_VIOLIN = 5
HALF_WIDTH = 0.38


@register
class ScoreByObjective(StudyPlot):
    """A score's distribution by objective, or by another swept value.

    A dot is a run, and the bar is the median of its group. A group has all runs with the same
    value, whatever their other hyperparameters and seeds. Five runs or more have a violin: a
    Gaussian kernel density (Scott's bandwidth) from the lowest to the highest run. All violins have
    the same width.

    The grey band is the group's null: all but 2.3 % of codes that know nothing of the factors are
    below its upper end, and as many are above its lower end.
    """

    name: Literal["score_by_objective"] = "score_by_objective"
    column: str | None = None
    """Column of the results; null means MIG, or else the first column that has values."""
    by: str = OBJECTIVE
    """`objective`, or a swept path."""

    def draw(self, study: Study) -> Figure:
        from matplotlib.patches import Patch

        by = swept_path(study, "by", self.by, besides=[OBJECTIVE])
        column = score_with_values(study, "column", self.column)
        groups = [(name, runs) for name, runs in _groups(study, by) if counted_values(runs, column)]
        if not groups:
            raise NothingToDraw(f"No run with a value of {column} has {by}.")
        names = [f"{name}\nn = {len(counted_values(runs, column))}" for name, runs in groups]
        longest = max(max(map(len, name.split("\n"))) for name in names)
        width = min(PAGE, max(COLUMN, 0.7 + len(groups) * max(0.45, 0.07 * longest)))
        steep = (width - 0.7) / len(groups) < 0.07 * longest
        title = f"{study.name}: " if study.name else ""
        figure = sheet(
            width,
            3.2 if steep else 2.5,
            f"{title}{column} by {by}; dot: run, bar: median",
        )
        axes = figure.subplots()
        with_null = False
        for place, (_, runs) in enumerate(groups):
            with_null |= null_band(
                axes,
                runs,
                study.columns[column],
                across=(place - HALF_WIDTH - 0.06, place + HALF_WIDTH + 0.06),
            )
            _draw_group(axes, place, counted_values(runs, column), LINES[place % len(LINES)])
        axes.set_xlim(-0.55, len(groups) - 0.45)
        axes.set_xticks(range(len(names)), names)
        if steep:
            axes.set_xticks(range(len(names)), [name.replace("\n", ", ") for name in names])
            axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel(by)
        axes.set_ylabel(column_label(study, column))
        small_letters(axes)
        if with_null:
            figure.legend(
                handles=[Patch(facecolor=GREY, alpha=0.45, label=NULL_LABEL)],
                loc="outside lower center",
                fontsize=TICK,
                frameon=False,
            )
        return figure


def _groups(study: Study, by: str) -> list[tuple[str, list[StudyRun]]]:
    if by != OBJECTIVE:
        values = swept_values(study.runs, by)
        return [
            (plain(value), [run for run in study.runs if _has(run, by, value)]) for value in values
        ]
    names = dict.fromkeys(run.objective for run in study.runs)
    return [(name, [run for run in study.runs if run.objective == name]) for name in names]


def _has(run: StudyRun, path: str, value: object) -> bool:
    there = run.swept.get(path) if path in run.swept else None
    # True and 1 are different values, although they are equal.
    alike = there == value and isinstance(there, bool) == isinstance(value, bool)
    return path in run.swept and alike


def _draw_group(axes: Axes, place: int, values: Sequence[float], colour: str) -> None:
    with np.errstate(over="ignore"):
        variance = np.var(values)
    if len(values) >= FEWEST_FOR_VIOLIN and 0 < variance < math.inf:
        parts = axes.violinplot(
            [values], [place], widths=2 * HALF_WIDTH, showextrema=False, points=120
        )
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, edgecolor=colour, alpha=0.25, linewidth=0.8)
    axes.plot(place + beside(values), values, "o", color=colour, ms=3.4, alpha=0.75, mew=0)
    middle = median(values)
    half = HALF_WIDTH * 0.6
    axes.plot([place - half, place + half], [middle] * 2, color="black", lw=1.4, zorder=3)


def beside(values: Sequence[float], *, apart: float = 0.07, room: int = 40) -> np.ndarray:
    """How far each dot is moved aside so that none hides another: 0, then left and right in turn.

    Dots share a row if their values differ by at most 1 / `room` of the range.
    """
    order = np.argsort(values, kind="stable")
    reach = float(np.ptp(values)) / room
    aside = np.zeros(len(values))
    start, row = None, 0
    for k in order:
        if start is None or values[k] - start > reach:
            start, row = values[k], 0
        aside[k] = apart * ((row + 1) // 2) * (1 if row % 2 else -1)
        row += 1
    most = np.abs(aside).max(initial=0)
    shrunk: np.ndarray = aside * min(1.0, 0.9 * HALF_WIDTH / most) if most else aside
    return shrunk
