"""Swept paths and columns as axes: how they are chosen, and the places of their values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.components.registry import nearest
from ml.components.spec_errors import Fault, InvalidSpec
from ml.plots.drawing.sheet import TICK
from ml.plots.protocol import NothingToDraw
from ml.studies.study import SEED, Study, StudyRun
from ml.studies.values import counted, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACTOR_FOR_LOG = 8
"""An axis is logarithmic by default if its values span at least this factor."""
MANY = 10
"""Fewest crowded names that are written upright."""
LONGEST_LINE = 24
"""Most letters of a column's name that fit beside a panel in one line."""
ROOM = 0.9
"""Share of an axis that the letters of its ticks may take."""
LETTER = 0.6 * TICK / 72
"""Width of a tick's letter in inches."""


def swept_path(study: Study, param: str, path: str, *, besides: Sequence[str] = ()) -> str:
    """The path, if it was swept or is one of the words in `besides`.

    Raises:
        InvalidSpec: it is neither. The fault is at `param`.
    """
    known = [*besides, *study.paths]
    if path in known:
        return path
    listed = ", ".join(known) or "none, as nothing was swept"
    raise InvalidSpec([Fault(param, path, f"a swept path ({listed})", nearest(path, known))])


def column_of(study: Study, param: str, name: str) -> str:
    """The name, if the study has such a column.

    Raises:
        InvalidSpec: there is no such column. The fault is at `param`.
    """
    if name in study.columns:
        return name
    listed = ", ".join(study.columns) or "none, as no run has a number yet"
    raise InvalidSpec([Fault(param, name, f"a column ({listed})", nearest(name, study.columns))])


def columns_with_values(study: Study) -> list[str]:
    """Columns in which some run has a number that counts."""
    return [
        name for name in study.columns if any(counted(run, name) is not None for run in study.runs)
    ]


def score_with_values(study: Study, param: str, asked: str | None) -> str:
    """The column `asked` for; without one MIG, or else the first column that has values.

    Raises:
        InvalidSpec: there is no such column. The fault is at `param`.
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
    """The wanted columns that have values.

    A wanted name that is no column stands for the first column that is equal to it but for
    brackets: `dci.disentanglement` may be `dci[predictor=lasso].disentanglement`.
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
    """Whether the value is a finite number. A truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def several(study: Study, *, seed: bool = False) -> list[str]:
    """Swept paths with two values or more, the numeric ones first, without the seed by default."""
    paths = [path for path in study.paths if seed or path != SEED]
    values = {path: swept_values(study.runs, path) for path in paths}
    found = [path for path in paths if len(values[path]) > 1]
    return sorted(found, key=lambda path: not all(map(is_number, values[path])))


def swept_values(runs: Iterable[StudyRun], path: str) -> list[Any]:
    """The distinct values of a path, in rising order if all are numbers, else as in the sweep."""
    found: dict[tuple[bool, Any], Any] = {}
    for run in runs:
        if path in run.swept:
            value = run.swept[path]
            # True and 1 are different values, although they are equal.
            found.setdefault((isinstance(value, bool), value), value)
    values = list(found.values())
    return sorted(values) if all(map(is_number, values)) else values


@dataclass(frozen=True)
class Scale:
    """An axis of swept values. Numbers keep their distances; other values are spaced evenly."""

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
        """Set ticks at the values, on an x axis of this length in inches."""
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
        """Whether the names are too long to be written side by side on an x axis."""
        names = map(plain, self.values)
        wide = sum(len(name) + 1.5 for name in names) * LETTER
        return not self.numeric and wide > inches * ROOM

    def below(self, inches: float) -> float:
        """Additional room in inches that crowded names need below an x axis."""
        if not self.crowded(inches):
            return 0.0
        longest = max(len(_short(plain(value))) for value in self.values) * LETTER
        return longest if self._many else longest * math.sqrt(0.5)

    @property
    def _many(self) -> bool:
        """Whether crowded names are written upright, as there are many. A few are slanted."""
        return len(self.values) >= MANY

    def _shares(self, places: Sequence[float]) -> list[float]:
        """Each place as a share of the axis, from 0 to 1."""
        along = [math.log(place) for place in places] if self.log else list(places)
        span = max(along) - min(along)
        return [(one - min(along)) / span if span else 0.5 for one in along]


def scale_of(values: Sequence[Any], *, log: bool | None, param: str = "log_x") -> Scale:
    """The axis of these values. By default it is logarithmic if all are above 0 and far apart.

    Raises:
        InvalidSpec: a logarithmic axis is asked for, but has no place for one of the values.
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
    """The labels, chosen from the left, that do not overlap."""
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
    """A column's name in lines that fit a panel, with an arrow in its better direction, if any."""
    arrow = {True: " ↑", False: " ↓", None: ""}[study.columns[column].higher_is_better]
    head, bracket, rest = column.partition("[")
    inner, _, number = rest.rpartition("]")
    name = f"{head}{number}{arrow}"
    if len(name) > LONGEST_LINE:
        name = name.replace(".", ".\n", 1)
    return "\n".join([name, *(inner.split(",") if bracket else ())])
