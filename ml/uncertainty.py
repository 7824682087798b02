r"""Null distributions and intervals of any metric, from a few computations on other rows.

**Null.** What the metric gives for codes that know nothing of the factors: the factors' rows are
permuted jointly, so that codes keep their dependence among themselves and so do the factors.

**Interval.** How far the score would move if the evaluation's rows were drawn again, as many as
there are: an interval for the metric's expected value at this number of rows, which includes
whatever bias the metric has at that number (the null shows it). Rows are never drawn twice
within a sample: duplicates bias mutual information and leak from training to test rows.

- Cheap metrics: half samples without replacement. The variance of a half sample's score around the
  mean over half samples is, to first order, the variance of the whole sample's score.
- Metrics that fit predictors: random groups. The rows are dealt into a few disjoint groups with
  training and test rows in proportion; the standard error is the groups' deviation over the root of
  their number (Wolter, Introduction to Variance Estimation, chapter 2), with Student's t for so
  few. All groups together cost about one more fit on all rows.

Both are centred on the score of all rows, whatever the smaller samples' bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy import stats

from ml.draws import generator
from ml.rows import Rows

GROUPS = 5
CONFIDENCE = 0.95

Numbers = Mapping[str, float]
"""A metric's numbers by name."""
Draws = dict[str, np.ndarray]
"""Values of each number over replicates."""


def permutations(rows: Rows, replicates: int) -> Iterator[np.ndarray]:
    """Permutations of the rows' indices, the same for the same seed."""
    draws = generator(rows.seed, "null")
    for _ in range(replicates):
        rows.continue_or_stop()
        yield draws.permutation(len(rows))


def halves(rows: Rows, replicates: int) -> Iterator[np.ndarray]:
    """Indices of half of the rows, drawn without replacement."""
    draws = generator(rows.seed, "half samples")
    for _ in range(replicates):
        rows.continue_or_stop()
        yield draws.permutation(len(rows))[: len(rows) // 2]


def groups(rows: Rows, number: int = GROUPS) -> Iterator[Rows]:
    """The rows dealt into disjoint groups, each with its share of training and of test rows."""
    draws = generator(rows.seed, "groups")
    train, test = draws.permutation(rows.train), draws.permutation(len(rows) - rows.train)
    for group in range(number):
        fit = train[group::number]
        yield rows.take(np.concatenate([fit, rows.train + test[group::number]]), len(fit))


def null_draws(compute: Callable[[Rows], Numbers], rows: Rows, replicates: int) -> Draws:
    """A metric's numbers on permuted factors."""
    return _collected(
        compute(rows.with_factors_of(index)) for index in permutations(rows, replicates)
    )


def half_sample_errors(compute: Callable[[Rows], Numbers], rows: Rows, replicates: int) -> Numbers:
    """Half the width of each number's interval, from half samples of rows that have no split."""
    drawn = _collected(compute(rows.take(index, len(index))) for index in halves(rows, replicates))
    return {name: half_width_of_halves(values) for name, values in drawn.items()}


def half_width_of_halves(values: np.ndarray) -> float:
    """1.96 deviations of the scores of half samples."""
    return float(stats.norm.ppf((1 + CONFIDENCE) / 2) * values.std(ddof=1))


def group_errors(compute: Callable[[Rows], Numbers], rows: Rows, number: int = GROUPS) -> Numbers:
    """Half the width of each number's interval, from random groups."""
    drawn = _collected(compute(group) for group in groups(rows, number))
    t = stats.t.ppf((1 + CONFIDENCE) / 2, number - 1)
    return {name: float(t * values.std(ddof=1) / np.sqrt(number)) for name, values in drawn.items()}


def _collected(found: Iterator[Numbers]) -> Draws:
    several = list(found)
    return {name: np.array([one[name] for one in several]) for name in several[0]}
