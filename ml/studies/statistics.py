"""Descriptive statistics of runs, and rank correlations between the columns of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import stdtrit

from ml.components.described import Described
from ml.studies.study import Study
from ml.studies.values import median

FEWEST_PAIRS = 3
"""Fewest runs over which a correlation is computed."""


class Document(Described):
    """An answer. The docstrings of its attributes are its descriptions in schemas."""


class Description(Document):
    """Descriptive statistics of runs' values."""

    n: int
    """Runs that succeeded and have the number."""
    mean: float | None
    median: float | None
    std: float | None
    """Standard deviation, with the divisor n - 1; null for fewer than two runs."""
    ci95: tuple[float, float] | None
    """95 % interval of the mean by Student's t; null for fewer than two runs."""
    low: float | None
    high: float | None


class Correlations(Document):
    """Spearman's rank correlations across runs."""

    columns: list[str]
    matrix: list[list[float | None]]
    """Correlations with their own signs; null where fewer than three runs have both numbers, or one
    of the numbers is constant."""
    pairs: list[list[int]]
    """How many runs have both numbers."""
    higher_is_better: list[bool | None]
    """By column. Where the two columns of a pair differ in it, a negative correlation means that
    they agree. Null where neither direction is better, as with a KL."""


def describe(values: Sequence[float]) -> Description:
    """Describe finite values. A statistic that is too large for a float becomes None."""
    n = len(values)
    if n == 0:
        return Description(n=0, mean=None, median=None, std=None, ci95=None, low=None, high=None)
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.asarray(values, dtype=np.float64)
        mean, std = float(found.mean()), float(found.std(ddof=1)) if n > 1 else math.nan
        half = t_quantile(n) * std / math.sqrt(n) if n > 1 else math.nan
    ends = (mean - half, mean + half)
    return Description(
        n=n,
        mean=_finite(mean),
        median=median(values),
        std=_finite(std),
        ci95=ends if all(map(math.isfinite, ends)) else None,
        low=min(values),
        high=max(values),
    )


@cache
def t_quantile(n: int) -> float:
    """The 97.5 % quantile of Student's t for the mean of n values."""
    return float(stdtrit(n - 1, 0.975))


def correlations(study: Study, numbers: Mapping[str, Float[np.ndarray, "runs"]]) -> Correlations:
    """Rank correlations between all columns, each over the runs that have both numbers.

    `numbers` has the numbers that count by column, NaN where a run has none.
    """
    names = list(study.columns)
    there = {name: ~np.isnan(numbers[name]) for name in names}
    ranks: dict[tuple[str, bytes], np.ndarray | None] = {}

    def ranked(name: str, both: Bool[np.ndarray, "runs"]) -> np.ndarray | None:
        # Most runs have all numbers, so that a column is ranked once for all others.
        key = name, both.tobytes()
        if key not in ranks:
            ranks[key] = _ranks(numbers[name][both])
        return ranks[key]

    pairs = [[0] * len(names) for _ in names]
    matrix: list[list[float | None]] = [[None] * len(names) for _ in names]
    for i, one in enumerate(names):
        for j, other in enumerate(names[i:], start=i):
            both = there[one] & there[other]
            pairs[i][j] = pairs[j][i] = int(both.sum())
            matrix[i][j] = matrix[j][i] = _of_ranks(ranked(one, both), ranked(other, both))
    return Correlations(
        columns=names,
        matrix=matrix,
        pairs=pairs,
        higher_is_better=[study.columns[name].higher_is_better for name in names],
    )


def spearman(x: Float[np.ndarray, "runs"], y: Float[np.ndarray, "runs"]) -> float | None:
    """Spearman's rank correlation; None for fewer than three pairs, or if one is constant."""
    return _of_ranks(_ranks(x), _ranks(y))


def _ranks(values: Float[np.ndarray, "runs"]) -> Float[np.ndarray, "runs"] | None:
    """The ranks of values, of which there must be three and two different ones."""
    if len(values) < FEWEST_PAIRS or np.ptp(values) == 0:
        return None
    from scipy.stats import rankdata  # It takes half a second.

    ranks: np.ndarray = rankdata(values)
    return ranks


def _of_ranks(x: np.ndarray | None, y: np.ndarray | None) -> float | None:
    if x is None or y is None:
        return None
    value = float(np.corrcoef(x, y)[0, 1])
    # Rounding may exceed 1 by a little.
    return min(1.0, max(-1.0, value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
