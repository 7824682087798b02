"""Whether more seeds or more rows would make the mean of a setting more certain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from ml.codes.uncertainty import CONFIDENCE
from ml.studies.statistics import Document


class SeedsOrRows(Document):
    """What the uncertainty of a setting's mean comes from."""

    seeds: int
    """Runs with a value."""
    of_seeds: float
    """Half the 95 % interval of the mean through the choice of seeds, by Student's t."""
    of_rows: float | None
    """Half the 95 % interval through the choice of rows: the root mean square of the runs' own. All
    runs of a study are scored on the same rows, so that their errors may be the same, and more
    seeds may not lessen them: it is the most that rows contribute. Null if a run has no
    interval."""
    seeds_to_halve: int | None
    """The number of seeds at which the seeds' part would have half its width. Null if the runs do
    not differ."""
    more: Literal["seeds", "rows"] | None
    """Of what there should be more: the larger part. Null where the rows' part is unknown, or both
    are zero."""
    advice: str | None
    """The same as a sentence."""


def seeds_or_rows(
    values: Sequence[float], half_widths: Sequence[float | None]
) -> SeedsOrRows | None:
    """What to have more of for a setting whose runs have these values and intervals.

    None for fewer than two runs, whose deviation is unknown, and for numbers whose deviation is too
    large for a float.
    """
    n = len(values)
    if n < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        of_seeds = _factor(n) * float(np.std(values, ddof=1))
        known = [width for width in half_widths if width is not None]
        of_rows = math.sqrt(np.mean(np.square(known))) if len(known) == n else None
    return _verdict(n, of_seeds, of_rows)


def seeds_or_rows_of_many(
    values: Float[np.ndarray, "settings runs"], half_widths: Float[np.ndarray, "settings runs"]
) -> list[SeedsOrRows | None]:
    """`seeds_or_rows` of settings with as many runs each. NaN stands for an unknown width."""
    n = values.shape[1]
    if n < 2:
        return [None] * len(values)
    with np.errstate(over="ignore", invalid="ignore"):
        of_seeds = _factor(n) * values.std(axis=1, ddof=1)
        of_rows = np.sqrt(np.square(half_widths).mean(axis=1))
    return [
        _verdict(n, seeds, None if math.isnan(rows) else rows)
        for seeds, rows in zip(of_seeds.tolist(), of_rows.tolist(), strict=True)
    ]


def _verdict(n: int, of_seeds: float, of_rows: float | None) -> SeedsOrRows | None:
    if not math.isfinite(of_seeds):
        return None
    needed = seeds_to_halve(n) if of_seeds > 0 else None
    more: Literal["seeds", "rows"] | None = None
    if of_rows is not None and max(of_seeds, of_rows) > 0:
        more = "seeds" if of_seeds >= of_rows else "rows"
    advice = None
    if more is not None:
        less = "rows" if more == "seeds" else "seeds"
        advice = (
            f"more {more}, not more {less}: the mean of {n} seeds is uncertain by ±{of_seeds:.2g}"
            f" through seeds and by ±{of_rows:.2g} at most through rows"
        )
        if more == "seeds":
            advice += f"; {needed} seeds would halve the former"
    return SeedsOrRows(
        seeds=n,
        of_seeds=of_seeds,
        of_rows=of_rows,
        seeds_to_halve=needed,
        more=more,
        advice=advice,
    )


@cache
def seeds_to_halve(n: int) -> int:
    """The fewest seeds whose mean has an interval half as wide as that of n, by Student's t.

    Few seeds gain twice: from the root of their number, and as their deviation gets known. So five
    seeds need 13, and many need four times as many.
    """
    goal = _factor(n) / 2
    needed = n + 1
    while _factor(needed) > goal:
        needed += 1
    return needed


@cache
def _factor(n: int) -> float:
    """Half of an interval of the mean of n values, in deviations."""
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) / math.sqrt(n)
