r"""Whether a score is clear of its null: so good that codes that know nothing rarely reach it.

A null is known from a few permutations only. If n permutations have the mean m and the deviation s,
one more value of codes that know nothing exceeds

.. math:: m + t_{n-1} \, s \sqrt{1 + 1/n}

as rarely as a normal value exceeds two deviations (2.3 %), where t is the quantile of Student's t.
The threshold is at 5.2 deviations for three permutations and at 2.07 for fifty. This holds for
nulls that are about normal. Some are not: a lasso that finds a single code of use to a single
factor scores a completeness of 1, and otherwise 0. With enough permutations the score must
therefore also exceed the value that 2.3 % of them reach. This rule holds for nulls of any shape.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtrit

from ml.metrics.protocol import NullDistribution

LEVEL = float(ndtr(-2.0))
"""Share of codes that know nothing and look clear of their null all the same."""
FEWEST_RANKED = math.ceil(1 / LEVEL) - 1
"""Fewest permutations that one more value exceeds, all of them, no more often than `LEVEL`."""
ROUNDING = 1e-9
"""Rounding of a score of order one."""


def null_of(values: Float[np.ndarray, "replicates"]) -> NullDistribution:
    """The null distribution of a score, from its values on permuted factors."""
    n = len(values)
    limits = None
    if n >= FEWEST_RANKED:
        # One more value is equally likely to take any place among these.
        place = math.ceil((n + 1) * (1 - LEVEL)) - 1
        ordered = np.sort(values)
        limits = float(ordered[n - 1 - place]), float(ordered[place])
    return NullDistribution(
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if n > 1 else 0.0,
        replicates=n,
        limits=limits,
    )


def not_clear(null: NullDistribution) -> tuple[float, float] | None:
    """The lowest and highest values that are not clear of a null, or None for one permutation."""
    n = null.replicates
    if n < 2:
        return None
    reach = float(stdtrit(n - 1, 1 - LEVEL)) * null.std * math.sqrt(1 + 1 / n)
    low, high = null.mean - reach, null.mean + reach
    if null.limits is not None:
        low, high = min(low, null.limits[0]), max(high, null.limits[1])
    return low, high


def is_clear(value: float, null: NullDistribution, *, higher_is_better: bool | None) -> bool | None:
    """Whether codes that know nothing rarely reach so good a value.

    It is None if that is not known: the null has a single permutation or a few equal ones, or
    neither a higher nor a lower number is better.
    """
    if higher_is_better is None:
        return None
    sign = 1 if higher_is_better else -1
    rounding = ROUNDING * max(1.0, abs(null.mean))
    if sign * (value - null.mean) <= rounding:
        return False
    between = not_clear(null)
    if between is None or (null.std <= rounding and null.replicates < FEWEST_RANKED):
        return None
    low, high = between
    return bool(value > high + rounding if higher_is_better else value < low - rounding)
