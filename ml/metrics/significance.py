r"""Whether a score is clear of its null: better than codes that know nothing are but rarely.

A null is known from a few permutations only. Of n of them with mean m and deviation s, one more
value of codes that know nothing exceeds

.. math:: m + t_{n-1} \, s \sqrt{1 + 1/n}

as rarely as a normal value exceeds two deviations (2.3 %), with t the quantile of Student's t: 5.2
deviations for three permutations, 2.07 for fifty. That holds for nulls that are about normal. Some
are not: a lasso that finds a single code of use to a single factor scores a completeness of 1, and
else 0. With enough permutations the value must therefore pass as well what 2.3 % of them reach,
which holds whatever the null looks like.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtrit

from ml.metrics.protocol import NullDistribution

LEVEL = float(ndtr(-2.0))
"""Share of codes that know nothing that look clear all the same."""
FEWEST_RANKED = math.ceil(1 / LEVEL) - 1
"""Permutations of which the best is as good as chance is at that share."""
ROUNDING = 1e-9
"""Of a score of order one."""


def null_of(values: Float[np.ndarray, "replicates"]) -> NullDistribution:
    """What stands beside a score, from its values on permuted factors."""
    n = len(values)
    limits = None
    if n >= FEWEST_RANKED:
        # One more value is as likely to come in any place among these.
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
    """The lowest and the highest value that are not clear of it; None for a single permutation."""
    n = null.replicates
    if n < 2:
        return None
    reach = float(stdtrit(n - 1, 1 - LEVEL)) * null.std * math.sqrt(1 + 1 / n)
    low, high = null.mean - reach, null.mean + reach
    if null.limits is not None:
        low, high = min(low, null.limits[0]), max(high, null.limits[1])
    return low, high


def is_clear(value: float, null: NullDistribution, *, higher_is_better: bool | None) -> bool | None:
    """Whether so good a value is rare among codes that know nothing.

    None where that cannot be told: of a single permutation, a few that are all alike, or a number
    of which neither more nor less is better.
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
