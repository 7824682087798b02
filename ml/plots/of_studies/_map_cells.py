"""The cells of a map over two swept values: where they lie on its sides, and what each holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.plots.of_studies._swept import Scale, is_number, scale_of, swept_values
from ml.studies.study import StudyRun
from ml.studies.values import counted_values, median

BETA_NORM = "beta_norm"
NARROWEST = 0.4
"""Of the mean cell: numbers that would make a narrower one lie side by side instead."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Side:
    """One of the two axes, and where runs and cells lie on it."""

    path: str
    scale: Scale | None
    """None for `beta_norm`, whose values are those of the runs at hand."""
    log: bool

    def place(self, run: StudyRun) -> float:
        if self.scale is not None:
            return self.scale.place(run.swept[self.path])
        assert run.beta_norm is not None
        return run.beta_norm

    def cut(self, runs: Sequence[StudyRun]) -> list[tuple[Span, list[StudyRun]]]:
        """The runs by their place here, each with where its cells begin and end."""
        known = () if self.scale is None else map(self.scale.place, self.scale.values)
        found: dict[float, list[StudyRun]] = {place: [] for place in known}
        for run in runs:
            found.setdefault(self.place(run), []).append(run)
        places = sorted(found)
        edges = _edges(places, log=self.log)
        return [((edges[k], edges[k + 1]), found[place]) for k, place in enumerate(places)]

    def share(self, span: Span, whole: Span) -> float:
        """How much of the axis it takes."""
        low, high, start, end = (math.log(one) if self.log else one for one in (*span, *whole))
        return (high - low) / (end - start)

    def middle(self, span: Span) -> float:
        """Where what is written into a span has its middle."""
        low, high = span
        return math.sqrt(low) * math.sqrt(high) if self.log else (low + high) / 2


@dataclass(frozen=True)
class Cell:
    """A place on the map: the runs that have its two values."""

    x: Span
    y: Span
    runs: int
    """That have the score."""
    value: float | None
    """Their median."""


def is_beta(path: str) -> bool:
    """Whether the path is beta as it was swept, or normalised."""
    return path.rpartition(".")[2] in ("beta", BETA_NORM)


def lies_on(run: StudyRun, path: str) -> bool:
    """Whether the run has a place on a side of this path."""
    if path == BETA_NORM:
        return run.beta_norm is not None and math.isfinite(run.beta_norm)
    return path in run.swept


def side_of(runs: Sequence[StudyRun], path: str) -> Side:
    """The side of a path: numbers where they are, unless that made some cells too narrow."""
    if path == BETA_NORM:
        return Side(path, None, all((run.beta_norm or 0) > 0 for run in runs))
    values = swept_values(runs, path)
    scale = scale_of(values, log=None)
    side = Side(path, scale, scale.log)
    spans = [span for span, _ in side.cut(())]
    shares = [side.share(span, (spans[0][0], spans[-1][1])) for span in spans]
    if min(shares) < NARROWEST / len(shares):
        return Side(path, Scale(values, numeric=False, log=False), log=False)
    return side


def cells_of(runs: Sequence[StudyRun], score: str, across: Side, up: Side) -> list[Cell]:
    """Every cell of the map, with the median of those of its runs that have the score."""
    # Where beta_norm lies along a side, its cells are those of each value on the other.
    if across.scale is not None:
        places = [(x, y, cell) for x, some in across.cut(runs) for y, cell in up.cut(some)]
    else:
        places = [(x, y, cell) for y, some in up.cut(runs) for x, cell in across.cut(some)]
    told = [(x, y, counted_values(cell, score)) for x, y, cell in places]
    return [Cell(x, y, len(found), median(found) if found else None) for x, y, found in told]


def unit_beta(side: Side, runs: Sequence[StudyRun]) -> float | None:
    """Where beta is 1 on this side for these runs, if it is in one place."""
    if side.scale is None:
        ratios = [run.beta_norm / run.beta for run in runs if run.beta and run.beta_norm]
        one = bool(ratios) and math.isclose(min(ratios), max(ratios))
        return ratios[0] if one else None
    values = side.scale.values
    if side.path.rpartition(".")[2] != "beta" or not all(map(is_number, values)):
        return None
    if not values[0] <= 1 <= values[-1]:
        return None
    # Where numbers lie side by side, it lies between those around it.
    return 1.0 if side.scale.numeric else float(np.interp(1, values, range(len(values))))


def _edges(places: Sequence[float], *, log: bool) -> list[float]:
    """Of cells around rising places: half way between them, on the axis that they lie on."""
    at = np.log(places) if log else np.asarray(places)
    if len(at) == 1:
        # Nothing says how far a single cell reaches.
        half = math.log(2) / 2 if log else abs(at[0]) / 2 or 0.5
        edges = np.array([at[0] - half, at[0] + half])
    else:
        between = at[:-1] / 2 + at[1:] / 2
        edges = np.array([2 * at[0] - between[0], *between, 2 * at[-1] - between[-1]])
    found: list[float] = (np.exp(edges) if log else edges).tolist()
    return found
