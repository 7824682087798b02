"""How two numbers of runs rise and fall together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import model_validator

from ml.components.registry import register
from ml.plots.drawing.colours import BLUE, GREY, KINDS
from ml.plots.drawing.matrix import hundredths
from ml.plots.drawing.sheet import COLUMN, PAGE, TICK, sheet, small_letters
from ml.plots.of_studies._setting_names import short_name
from ml.plots.of_studies._swept import (
    column_label,
    column_of,
    columns_with_values,
    several,
    swept_values,
    usual_columns,
)
from ml.plots.protocol import NothingToDraw, StudyPlot
from ml.studies.grouped import counted_columns
from ml.studies.statistics import correlations, spearman
from ml.studies.study import Study, StudyRun
from ml.studies.values import counted, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WITH_NUMBERS = 20
"""Most columns with numbers in the cells. With more, numbers would be too small to read."""


@register
class MetricAgainstMetric(StudyPlot):
    """One score against another across runs, or the rank correlations of all scores.

    A dot is a run. It is coloured by its objective if there are several, or else by its swept
    values. The title states Spearman's rank correlation, which has no value for fewer than three
    runs.

    With `all`, the picture is the matrix of these correlations between all columns. Metrics that
    measure the same thing rank models alike. An arrow shows the direction in which a number is
    better. If two arrows differ, a negative correlation means that the numbers agree.
    """

    name: Literal["metric_against_metric"] = "metric_against_metric"
    x: str | None = None
    """Column of the results; null means MIG, or else the first column that has values."""
    y: str | None = None
    """Column of the results; null means SAP, or else the next column that has values."""
    all: bool = False
    """Whether to draw the matrix of all columns."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> MetricAgainstMetric:
        if self.all and (self.x, self.y) != (None, None):
            raise ValueError("x and y are for two columns, not for all")
        return self

    def draw(self, study: Study) -> Figure:
        return _matrix(study) if self.all else self._dots(study)

    def _dots(self, study: Study) -> Figure:
        x, y = self._columns(study)
        runs = [
            run for run in study.runs if counted(run, x) is not None and counted(run, y) is not None
        ]
        if not runs:
            raise NothingToDraw(f"No run that succeeded has both {x} and {y} yet.")
        rho = spearman(_numbers(runs, x), _numbers(runs, y))
        result = f"Spearman's ρ = {rho:.2f}" if rho is not None else "no rank correlation"
        kinds, legend = _kinds(study, runs)
        name = f"{study.name}: " if study.name else ""
        longest = max((len(str(kind)) for kind in kinds), default=0)
        aside = min(0.35 + 0.065 * max(longest, len(legend)), 2.0) if len(kinds) > 1 else 0.0
        count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
        figure = sheet(COLUMN + aside, 2.7, f"{name}{count}, {result}")
        axes = figure.subplots()
        for colour, (kind, of_kind) in zip(_colours(kinds), kinds.items(), strict=True):
            axes.plot(
                _numbers(of_kind, x),
                _numbers(of_kind, y),
                "o",
                color=colour,
                ms=4.2,
                mew=0.3,
                mec="white",
                alpha=0.9,
                label=_cut(str(kind)),
            )
        axes.set_xlabel(column_label(study, x))
        axes.set_ylabel(column_label(study, y))
        small_letters(axes)
        if len(kinds) > 1:
            axes.legend(
                title=legend or None,
                title_fontsize=TICK,
                fontsize=TICK,
                loc="center left",
                bbox_to_anchor=(1.0, 0.5),
                frameon=False,
                handletextpad=0.1,
            )
        return figure

    def _columns(self, study: Study) -> tuple[str, str]:
        chosen = [
            column_of(study, param, name) if name is not None else None
            for param, name in (("x", self.x), ("y", self.y))
        ]
        left = [
            name
            for name in dict.fromkeys(
                [*usual_columns(study, ["mig", "sap"]), *columns_with_values(study)]
            )
            if name not in chosen
        ]
        if len(left) < chosen.count(None):
            raise NothingToDraw(
                "Two columns with values are needed, and the runs that succeeded have"
                f" {len(columns_with_values(study)) or 'none'} so far; ask for more metrics."
            )
        first, second = (name if name is not None else left.pop(0) for name in chosen)
        return first, second


def _numbers(runs: Sequence[StudyRun], column: str) -> np.ndarray:
    return np.array([counted(run, column) for run in runs], dtype=np.float64)


def _kinds(study: Study, runs: Sequence[StudyRun]) -> tuple[dict[Any, list[StudyRun]], str]:
    """The runs by the text that decides their colour, in order, and the title of the legend."""
    if len({run.objective for run in runs}) > 1:
        return _by(runs, [run.objective for run in runs]), "objective"
    settings = dict.fromkeys(run.setting for run in runs)
    swept = several(study)
    if len(settings) <= len(KINDS) and len(swept) > 1:
        return _by(runs, [short_name(study, run.setting) for run in runs]), ""
    for path in swept:
        values = swept_values(runs, path)
        if 1 < len(values) <= len(KINDS) and all(path in run.swept for run in runs):
            found = _by(runs, [plain(run.swept[path]) for run in runs])
            return {plain(value): found[plain(value)] for value in values}, path
    return {"": list(runs)}, ""


def _by(runs: Sequence[StudyRun], keys: Sequence[Hashable]) -> dict[Any, list[StudyRun]]:
    found: dict[Any, list[StudyRun]] = {}
    for run, key in zip(runs, keys, strict=True):
        found.setdefault(key, []).append(run)
    return found


def _colours(kinds: dict[Any, list[StudyRun]]) -> list[str]:
    if len(kinds) == 1:
        return [BLUE]
    return [KINDS[place % len(KINDS)] for place in range(len(kinds))]


def _cut(name: str, letters: int = 28) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _matrix(study: Study) -> Figure:
    found = correlations(study, counted_columns(study))
    there = columns_with_values(study)
    kept = [k for k, name in enumerate(found.columns) if name in there]
    if len(kept) < 2:
        raise NothingToDraw(
            "Two columns with values are needed, and the runs that succeeded have"
            f" {len(kept) or 'none'} so far; ask for more metrics."
        )
    values = np.array([[_or_nan(found.matrix[i][j]) for j in kept] for i in kept], dtype=np.float64)
    if np.isnan(values).all():
        raise NothingToDraw(
            "No two columns have a rank correlation: three runs are needed that have both, and"
            " numbers that differ."
        )
    labels = [
        column_label(study, found.columns[k]).replace(".\n", ".").replace("\n", " ") for k in kept
    ]
    longest = 0.062 * max(map(len, labels))
    side = min(PAGE - longest - 0.6, max(COLUMN - longest - 0.4, 0.3 * len(kept)))
    name = f"{study.name}: " if study.name else ""
    runs = max(found.pairs[k][k] for k in kept)
    figure = sheet(
        side + longest + 0.6,
        0.9 * side + longest + 0.3,
        f"{name}Spearman's ρ across {runs} run{'s' if runs > 1 else ''}",
    )
    axes = figure.subplots()
    axes.set_facecolor(GREY)
    image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(len(kept)), labels, rotation=90)
    axes.set_yticks(range(len(kept)), labels)
    axes.tick_params(labelsize=TICK, length=0, pad=2)
    axes.spines[:].set_visible(False)
    _write_numbers(axes, values, size=TICK - (1 if len(kept) > 8 else 0))
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.ax.tick_params(labelsize=TICK, length=2.5)
    bar.outline.set_visible(False)
    return figure


def _write_numbers(axes: Axes, values: np.ndarray, *, size: float) -> None:
    if len(values) > MOST_WITH_NUMBERS:
        return
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            axes.text(
                column,
                row,
                hundredths(value),
                ha="center",
                va="center",
                fontsize=size,
                color="white" if abs(value) > 0.65 else "black",
            )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
