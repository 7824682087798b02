"""Swept paths and columns as axes: how they are asked for, and where their values lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from ml.components.registry import nearest
from ml.components.spec_errors import Fault, InvalidSpec
from ml.plots.drawing.sheet import TICK
from ml.plots.protocol import NothingToDraw
from ml.studies.study import SEED, Study, StudyRun
from ml.studies.values import counted, plain

FACTOR_FOR_LOG = 8
"""Between the largest and the smallest value of an axis that is logarithmic by itself."""
MANY = 10
LONGEST_LINE = 24
"""Letters of a column's name that fit beside a panel."""
ROOM = 0.9
"""Of an axis, for the letters of its ticks."""
LETTER = 0.6 * TICK / 72
"""Width of a tick's letter in inches."""


def swept_path(study: Study, param: str, path: str, *, besides: Sequence[str] = ()) -> str:
    """The path, if it was swept or is one of the words in `besides`.

    Raises:
        InvalidSpec: naming the param.
    """
    known = [*besides, *study.paths]
    if path in known:
        return path
    told = ", ".join(known) or "none, as nothing was swept"
    raise InvalidSpec([Fault(param, path, f"a swept path ({told})", nearest(path, known))])


def column_of(study: Study, param: str, name: str) -> str:
    """The name, if the study has such a column.

    Raises:
        InvalidSpec: naming the param.
    """
    if name in study.columns:
        return name
    told = ", ".join(study.columns) or "none, as no run has a number yet"
    raise InvalidSpec([Fault(param, name, f"a column ({told})", nearest(name, study.columns))])


def columns_with_values(study: Study) -> list[str]:
    """Columns of which some run has a number that counts."""
    return [
        name for name in study.columns if any(counted(run, name) is not None for run in study.runs)
    ]


def score_with_values(study: Study, param: str, asked: str | None) -> str:
    """The column asked for, else MIG, else the first column that has values, scores first.

    Raises:
        InvalidSpec: naming the param, where there is no such column.
        NothingToDraw: no run has a value of it.
    """
    there = columns_with_values(study)
    if asked is not None:
        if column_of(study, param, asked) not in there:
            raise NothingToDraw(f"No run that succeeded has a value of {asked} yet.")
        return asked
    if not there:
        raise NothingToDraw("No run that succeeded has a score or another number yet.")
    return next(iter([*usual_columns(study, ["mig"]), *there]))


def usual_columns(study: Study, wanted: Iterable[str]) -> list[str]:
    """Those of the wanted columns that have values, each by its name, or what is in brackets aside.

    Where there is `dci[predictor=lasso].disentanglement` and another, the first of them.
    """
    there = columns_with_values(study)
    found = []
    for name in wanted:
        like = name if name in there else next((one for one in there if _base(one) == name), None)
        if like is not None:
            found.append(like)
    return found


def _base(column: str) -> str:
    head, bracket, rest = column.partition("[")
    return head + rest.rpartition("]")[2] if bracket else column


def is_number(value: Any) -> bool:
    """Whether it is a finite number; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def several(study: Study, *, seed: bool = False) -> list[str]:
    """Swept paths with two values or more, numeric ones first."""
    paths = [path for path in study.paths if seed or path != SEED]
    values = {path: swept_values(study.runs, path) for path in paths}
    found = [path for path in paths if len(values[path]) > 1]
    return sorted(found, key=lambda path: not all(map(is_number, values[path])))


def swept_values(runs: Iterable[StudyRun], path: str) -> list[Any]:
    """The values of a path, numbers in rising order where all are, else as in the sweep."""
    found: dict[tuple[bool, Any], Any] = {}
    for run in runs:
        if path in run.swept:
            value = run.swept[path]
            # True and 1 are equal, but not the same value.
            found.setdefault((isinstance(value, bool), value), value)
    values = list(found.values())
    return sorted(values) if all(map(is_number, values)) else values


@dataclass(frozen=True)
class Scale:
    """An axis of swept values: numbers where they lie, all else side by side."""

    values: Sequence[Any]
    numeric: bool
    log: bool

    def place(self, value: Any) -> float:
        if self.numeric:
            return float(value)
        return float(
            next(
                k
                for k, one in enumerate(self.values)
                if one == value and isinstance(one, bool) == isinstance(value, bool)
            )
        )

    def label(self, axes: Axes, inches: float) -> None:
        """Ticks at the values, on an x axis that is so many inches long."""
        places = [self.place(value) for value in self.values]
        names = [plain(value) for value in self.values]
        if self.log:
            axes.set_xscale("log")
        axes.minorticks_off()
        if not self.numeric:
            axes.set_xlim(-0.5, len(names) - 0.5)
        width = inches * ROOM
        if self.crowded(inches):
            shown = _thinned(self._shares(places), [1.5] * len(names), width)
            axes.set_xticks([places[k] for k in shown], [_short(names[k]) for k in shown])
            axes.tick_params(axis="x", rotation=90 if self._many else 45)
            for tick in () if self._many else axes.get_xticklabels():
                tick.set_horizontalalignment("right")
                tick.set_rotation_mode("anchor")
        else:
            shown = _thinned(self._shares(places), [len(name) + 1 for name in names], width)
            axes.set_xticks([places[k] for k in shown], [names[k] for k in shown])
            rest = [place for k, place in enumerate(places) if k not in shown]
            if rest:
                axes.set_xticks(rest, [""] * len(rest), minor=True)

    def crowded(self, inches: float) -> bool:
        """Whether the names are too long to lie beside each other on an x axis."""
        names = map(plain, self.values)
        wide = sum(len(name) + 1.5 for name in names) * LETTER
        return not self.numeric and wide > inches * ROOM

    def below(self, inches: float) -> float:
        """Inches that crowded names take below an x axis, more than others do."""
        if not self.crowded(inches):
            return 0.0
        longest = max(len(_short(plain(value))) for value in self.values) * LETTER
        return longest if self._many else longest * math.sqrt(0.5)

    @property
    def _many(self) -> bool:
        """Whether crowded names stand upright; few are slanted."""
        return len(self.values) >= MANY

    def _shares(self, places: Sequence[float]) -> list[float]:
        """How far along the axis each place is, from 0 to 1."""
        along = [math.log(place) for place in places] if self.log else list(places)
        span = max(along) - min(along)
        return [(one - min(along)) / span if span else 0.5 for one in along]


def scale_of(values: Sequence[Any], *, log: bool | None, param: str = "log_x") -> Scale:
    """The axis of these values, logarithmic by itself where they are above 0 and lie far apart.

    Raises:
        InvalidSpec: a logarithmic axis is asked for, and there is a value that it has no place for.
    """
    numeric = all(map(is_number, values))
    above = numeric and all(value > 0 for value in values)
    if log and not above:
        lowest = plain(min(values)) if numeric else plain(values[0])
        raise InvalidSpec(
            [Fault(param, True, f"false or null, as {lowest} has no place on a logarithmic axis")]
        )
    far = above and len(values) > 2 and max(values) / min(values) >= FACTOR_FOR_LOG
    return Scale(values, numeric, far if log is None else log)


def _thinned(shares: Sequence[float], letters: Sequence[float], inches: float) -> list[int]:
    """As many of the labels as have room beside each other, from the left."""
    shown: list[int] = []
    right = -math.inf
    for k in sorted(range(len(shares)), key=shares.__getitem__):
        half = letters[k] * LETTER / 2
        if shares[k] * inches - half >= right:
            shown.append(k)
            right = shares[k] * inches + half
    return shown


def _short(name: str, letters: int = 28) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def column_label(study: Study, column: str) -> str:
    """A column's name in lines that fit a panel, with an arrow to where it is better, if it is."""
    arrow = {True: " ↑", False: " ↓", None: ""}[study.columns[column].higher_is_better]
    head, bracket, rest = column.partition("[")
    inner, _, number = rest.rpartition("]")
    name = f"{head}{number}{arrow}"
    if len(name) > LONGEST_LINE:
        name = name.replace(".", ".\n", 1)
    return "\n".join([name, *(inner.split(",") if bracket else ())])
