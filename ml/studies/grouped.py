"""The numbers of a study's columns as arrays, and what describes many groups of runs at once.

A study of ten thousand runs has a thousand settings and nine columns. Each statistic is computed
for all groups of one size together, by the same operations in the same order as for one group, so
that it has the same bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from ml.studies.statistics import Description, describe, t_quantile
from ml.studies.study import Study
from ml.studies.values import SUCCEEDED

Groups = Sequence[Sequence[int]]
"""The places of each group's runs among all runs."""


def counted_columns(study: Study) -> dict[str, Float[np.ndarray, "runs"]]:
    """The numbers that count by column, NaN where a run has none."""
    succeeded = np.array([run.state == SUCCEEDED for run in study.runs], dtype=bool)
    found = {}
    for name in study.columns:
        # None becomes NaN.
        column = np.array([run.values.get(name) for run in study.runs], dtype=np.float64)
        column[~(succeeded & np.isfinite(column))] = np.nan
        found[name] = column
    return found


def half_widths(study: Study) -> dict[str, Float[np.ndarray, "runs"]]:
    """Half the 95 % intervals of the scores by column, NaN where a run has none."""
    of_runs = [run.half_widths() for run in study.runs]
    return {
        name: np.array([widths.get(name) for widths in of_runs], dtype=np.float64)
        for name in study.score_columns
    }


def counted_in(column: Float[np.ndarray, "runs"], groups: Groups) -> list[Float[np.ndarray, "_"]]:
    """The numbers that count of each group, in the order of the runs."""
    there = ~np.isnan(column)
    whole = bool(there.all())
    found = []
    for group in groups:
        values = column[group]
        found.append(values if whole else values[there[group]])
    return found


def by_size(groups: Sequence[np.ndarray]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Groups of one size each time: which they are, and their values as (groups, size)."""
    alike: dict[int, list[int]] = defaultdict(list)
    for place, values in enumerate(groups):
        alike[len(values)].append(place)
    for places in alike.values():
        yield places, np.stack([groups[place] for place in places])


def described(groups: Sequence[Float[np.ndarray, "_"]]) -> list[Description]:
    """`describe` of each group of finite values."""
    found: list[Description | None] = [None] * len(groups)
    for places, values in by_size(groups):
        describes = _describes if values.shape[1] else _describe_each
        for place, one in zip(places, describes(values), strict=True):
            found[place] = one
    return [one for one in found if one is not None]


def _describe_each(values: Float[np.ndarray, "groups size"]) -> list[Description]:
    return [describe(row.tolist()) for row in values]


def _describes(values: Float[np.ndarray, "groups size"]) -> list[Description]:
    if (np.signbit(values) & (values == 0)).any():
        # 0 and -0 are equal, and which of them is the median or the least depends on their order.
        return _describe_each(values)
    n = values.shape[1]
    ordered = np.sort(values, axis=1)
    low, high = ordered[:, (n - 1) // 2], ordered[:, n // 2]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(axis=1)
        std = values.std(axis=1, ddof=1) if n > 1 else np.full(len(values), np.nan)
        half = t_quantile(n) * std / np.sqrt(n) if n > 1 else std
        middle = (low + high) / 2
        median = np.where(np.isfinite(middle), middle, low / 2 + high / 2)
        lower, upper = _or_none(mean - half), _or_none(mean + half)
    return [
        Description(n=n, mean=a, median=b, std=c, ci95=d, low=e, high=f)
        for a, b, c, d, e, f in zip(
            _or_none(mean),
            median.tolist(),
            _or_none(std),
            [
                None if start is None or end is None else (start, end)
                for start, end in zip(lower, upper, strict=True)
            ],
            ordered[:, 0].tolist(),
            ordered[:, -1].tolist(),
            strict=True,
        )
    ]


def _or_none(values: np.ndarray) -> list[float | None]:
    finite = np.isfinite(values)
    return [value if fine else None for value, fine in zip(values.tolist(), finite, strict=True)]
