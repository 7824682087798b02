"""Scores against rows: the same metrics on ever larger subsamples of the same rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ml.codes.repeated_rows import blocks, first_rows
from ml.codes.rows import Rows
from ml.codes.uncertainty import permutations
from ml.components.described import Described
from ml.metrics.protocol import Metric, Number
from ml.recorder import Progress, Recorder, Silent, Stopped, continue_or_stop
from ml.reproducibility.draws import generator

FEWEST_ROWS = 100
"""Rows of the smallest subsample."""
DRAWS = 5
CHEAP_SECONDS = 2.0
"""A metric that takes at most this long on all rows gets a null at each size."""
CLEAR = 2.8
"""A change of more standard errors than this is not due to the draws of five subsamples: Student's
t of four degrees of freedom is beyond it in 5 % of cases."""
SMALL = 0.002
"""A change that is no larger than this is no trend. Scores are printed with three digits."""

Trend = Literal["climbs", "falls", "level"]


class CurvePoint(Described):
    """The scores of several subsamples of one size."""

    rows: int
    """Rows of a subsample, training and test rows together."""
    values: list[float]
    """One for each draw. All rows are drawn once."""
    mean: float | None
    std: float | None
    """Standard deviation over fresh draws of so many rows. As subsamples of the same rows overlap,
    theirs is multiplied by sqrt(N / (N - rows)). Null for all rows, and for a single value."""
    null: list[float] = []
    """The scores of the same draws with permuted factors, or of several permutations of all rows.
    It is empty for costly metrics."""
    error: str | None = None
    """Why draws are missing."""


class Curve(Described):
    """One number of a metric against rows."""

    metric: str
    name: str
    params: dict[str, object]
    higher_is_better: bool | None
    range: tuple[float | None, float | None]
    points: list[CurvePoint]
    trend: Trend | None
    """Whether the score of all rows is clearly above (`climbs`) or below (`falls`) the mean of the
    largest subsamples. Null if there is none."""
    change: float | None
    """That score less that mean."""
    change_from: int | None
    """The rows of those subsamples."""


class RowsCurve(Described):
    """Scores against rows."""

    rows: int
    train_rows: int
    draws: int
    curves: list[Curve]


def sizes_of(rows: int) -> list[int]:
    """100, 200, 400, … and the number of rows itself, the last step being at least 1.5-fold."""
    sizes = []
    size = FEWEST_ROWS
    while 1.5 * size <= rows:
        sizes.append(size)
        size *= 2
    return [*sizes, rows]


def rows_curve(
    rows: Rows,
    metrics: Sequence[Metric],
    *,
    sizes: Sequence[int] | None = None,
    draws: int = DRAWS,
    recorder: Recorder | None = None,
) -> RowsCurve:
    """Score subsamples of the rows by each metric, and see whether the score still moves.

    Numbers whose name begins with `error` are left out, as they are 1 - informativeness.

    Subsamples are drawn without replacement, training and test rows in proportion. Rows that repeat
    each other are drawn together. An error on a subsample, which may lack a class, is kept with it.

    Raises:
        Stopped: the recorder wished to stop.
    """
    recorder = recorder or Silent()
    chosen = list(sizes) if sizes is not None else sizes_of(len(rows))
    work = [(size, draw) for size in chosen for draw in range(1 if size == len(rows) else draws)]
    steps, done = len(metrics) * len(work), 0

    def report() -> None:
        continue_or_stop(recorder.progress(Progress("scoring", done, steps)))

    curves: list[Curve] = []
    for metric in metrics:
        numbers = [one for one in metric.reported() if not one.name.startswith("error")]
        cheap = metric.needs_factors and metric.seconds(rows) <= CHEAP_SECONDS
        values: dict[tuple[str, int], list[float]] = defaultdict(list)
        nulls: dict[tuple[str, int], list[float]] = defaultdict(list)
        errors: dict[int, str] = {}
        for size, draw in work:
            report()
            drawn = replace(subsample(rows, size, draw), continue_or_stop=report)
            try:
                _collect(metric, drawn, size, values)
                # All rows are drawn once, and permuted as often as there are draws of others.
                times = (draws if size == len(rows) else 1) if cheap else 0
                for index in permutations(drawn, times):
                    _collect(metric, drawn.with_factors_of(index), size, nulls)
            except Stopped:
                raise
            except Exception as problem:
                # A subsample may lack a class. The others may have a score all the same.
                errors[size] = f"{type(problem).__name__}: {problem}"
            done += 1
        for number in numbers:
            points = [
                _point(
                    size,
                    len(rows),
                    values[number.name, size],
                    nulls[number.name, size],
                    errors.get(size),
                )
                for size in chosen
            ]
            curves.append(_curve(metric, number, points))
    report()
    return RowsCurve(rows=len(rows), train_rows=rows.train, draws=draws, curves=curves)


def labels(rows: Rows, metrics: Sequence[Metric]) -> list[str]:
    """What is computed in each step of the progress that `rows_curve` reports by default."""
    return [
        f"{metric.name}, {size:,} rows"
        for metric in metrics
        for size in sizes_of(len(rows))
        for _ in range(1 if size == len(rows) else DRAWS)
    ]


def subsample(rows: Rows, size: int, draw: int) -> Rows:
    """About so many rows: training and test rows in proportion, and rows that repeat together."""
    if size >= len(rows):
        return rows
    draws = generator(rows.seed, f"rows curve, {size} rows, {draw}")
    block = blocks(rows)
    first = first_rows(block)
    share = size / len(rows)
    kept = np.concatenate(
        [
            draws.permutation(part)[: max(1, round(share * len(part)))]
            for part in (
                np.flatnonzero(first < rows.train),
                np.flatnonzero(first >= rows.train),
            )
        ]
    )
    index = np.flatnonzero(np.isin(block, kept))
    return rows.take(index, int((index < rows.train).sum()))


def _collect(
    metric: Metric, rows: Rows, size: int, into: Mapping[tuple[str, int], list[float]]
) -> None:
    for name, value in metric.values(rows).items():
        if math.isfinite(value):
            into[name, size].append(value)


def _point(
    size: int, rows: int, values: list[float], null: list[float], error: str | None
) -> CurvePoint:
    deviation = None
    if len(values) > 1 and size < rows:
        deviation = float(np.std(values, ddof=1)) * math.sqrt(rows / (rows - size))
    return CurvePoint(
        rows=size,
        values=values,
        mean=float(np.mean(values)) if values else None,
        std=deviation,
        null=null,
        error=error,
    )


def _curve(metric: Metric, number: Number, points: list[CurvePoint]) -> Curve:
    trend, change, change_from = _trend(points)
    return Curve(
        metric=metric.name,
        name=number.name,
        params=metric.model_dump(mode="json", exclude={"name"}),
        higher_is_better=number.higher_is_better,
        range=number.range,
        points=points,
        trend=trend,
        change=change,
        change_from=change_from,
    )


def _trend(
    points: Sequence[CurvePoint],
) -> tuple[Trend | None, float | None, int | None]:
    """How the score of all rows differs from the mean of the largest subsamples.

    The subsamples are drawn from these very rows. So the standard error of their mean, for the
    given rows, is the deviation of their scores over the root of their number.
    """
    *smaller, last = points
    before = next((point for point in reversed(smaller) if len(point.values) > 1), None)
    if before is None or before.mean is None or last.mean is None:
        return None, None, None
    change = last.mean - before.mean
    error = float(np.std(before.values, ddof=1)) / math.sqrt(len(before.values))
    if abs(change) <= max(CLEAR * error, SMALL):
        return "level", change, before.rows
    return "climbs" if change > 0 else "falls", change, before.rows
