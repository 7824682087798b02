"""The cells of a map over two swept values: their places, and the values in them."""

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
"""Least width of a cell, as a share of the mean width. If numbers would make narrower cells, all
cells get the same width."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Side:
    """One of the two axes, and the places of runs and cells on it."""

    path: str
    scale: Scale | None
    """None for `beta_norm`, whose values are taken from the runs."""
    log: bool

    def place(self, run: StudyRun) -> float:
        if self.scale is not None:
            return self.scale.place(run.swept[self.path])
        assert run.beta_norm is not None
        return run.beta_norm

    def cut(self, runs: Sequence[StudyRun]) -> list[tuple[Span, list[StudyRun]]]:
        """The runs by their place on this side, each place with the two edges of its cell."""
        known = () if self.scale is None else map(self.scale.place, self.scale.values)
        found: dict[float, list[StudyRun]] = {place: [] for place in known}
        for run in runs:
            found.setdefault(self.place(run), []).append(run)
        places = sorted(found)
        edges = _edges(places, log=self.log)
        return [((edges[k], edges[k + 1]), found[place]) for k, place in enumerate(places)]

    def share(self, span: Span, whole: Span) -> float:
        """The share of the axis that a span takes."""
        low, high, start, end = (math.log(one) if self.log else one for one in (*span, *whole))
        return (high - low) / (end - start)

    def middle(self, span: Span) -> float:
        """The middle of a span on this axis."""
        low, high = span
        return math.sqrt(low) * math.sqrt(high) if self.log else (low + high) / 2


@dataclass(frozen=True)
class Cell:
    """A place on the map: the runs that have its two values."""

    x: Span
    y: Span
    runs: int
    """How many of its runs have the score."""
    value: float | None
    """The median of their scores."""


def is_beta(path: str) -> bool:
    """Whether the path is that of a swept beta, or `beta_norm`."""
    return path.rpartition(".")[2] in ("beta", BETA_NORM)


def lies_on(run: StudyRun, path: str) -> bool:
    """Whether the run has a place on a side of this path."""
    if path == BETA_NORM:
        return run.beta_norm is not None and math.isfinite(run.beta_norm)
    return path in run.swept


def side_of(runs: Sequence[StudyRun], path: str) -> Side:
    """The side of a path. Numbers keep their distances, unless some cells became too narrow."""
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
    """Every cell of the map, with the median score of its runs that have one."""
    # On a side of beta_norm, each value of the other side has cells of its own.
    if across.scale is not None:
        places = [(x, y, cell) for x, some in across.cut(runs) for y, cell in up.cut(some)]
    else:
        places = [(x, y, cell) for y, some in up.cut(runs) for x, cell in across.cut(some)]
    scores = [(x, y, counted_values(cell, score)) for x, y, cell in places]
    return [Cell(x, y, len(found), median(found) if found else None) for x, y, found in scores]


def unit_beta(side: Side, runs: Sequence[StudyRun]) -> float | None:
    """The place on this side where beta is 1 for these runs; None if there is no single one."""
    if side.scale is None:
        ratios = [run.beta_norm / run.beta for run in runs if run.beta and run.beta_norm]
        one = bool(ratios) and math.isclose(min(ratios), max(ratios))
        return ratios[0] if one else None
    values = side.scale.values
    if side.path.rpartition(".")[2] != "beta" or not all(map(is_number, values)):
        return None
    if not values[0] <= 1 <= values[-1]:
        return None
    # If all cells have the same width, 1 is placed between its neighbours.
    return 1.0 if side.scale.numeric else float(np.interp(1, values, range(len(values))))


def _edges(places: Sequence[float], *, log: bool) -> list[float]:
    """The edges of cells around rising places, half way between them on the axis."""
    at = np.log(places) if log else np.asarray(places)
    if len(at) == 1:
        # The width of a single cell is arbitrary.
        half = math.log(2) / 2 if log else abs(at[0]) / 2 or 0.5
        edges = np.array([at[0] - half, at[0] + half])
    else:
        between = at[:-1] / 2 + at[1:] / 2
        edges = np.array([2 * at[0] - between[0], *between, 2 * at[-1] - between[-1]])
    found: list[float] = (np.exp(edges) if log else edges).tolist()
    return found
