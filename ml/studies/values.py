"""What of a study's runs counts: the numbers of those that succeeded, and their nulls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ml.metrics.protocol import NullDistribution
from ml.studies.study import StudyRun

ENOUGH_SEEDS = 5
"""A median over fewer says little."""
SUCCEEDED = "succeeded"


def counted(run: StudyRun, column: str) -> float | None:
    """The run's number if it is finite and the run succeeded: others stand in no mean."""
    value = run.value(column) if run.state == SUCCEEDED else None
    return value if value is not None and math.isfinite(value) else None


def counted_values(runs: Iterable[StudyRun], column: str) -> list[float]:
    """The numbers of those runs that have one that counts, in their order."""
    return [value for run in runs if (value := counted(run, column)) is not None]


def pooled_null(runs: Iterable[StudyRun], column: str) -> NullDistribution | None:
    """What a run of these, whichever it is, scores if it knows nothing.

    The variance is the mean of the nulls' variances and the variance of their means together,
    known as well as all their permutations tell; the limits are the widest of all.
    None where no run that counts has a finite null, or they are too large for a float.
    """
    nulls: list[NullDistribution] = [
        null
        for run in runs
        if (null := run.nulls.get(column)) is not None
        and counted(run, column) is not None
        and math.isfinite(null.mean)
        and math.isfinite(null.std)
    ]
    if not nulls:
        return None
    limits = [null.limits for null in nulls if null.limits is not None]
    try:
        within = statistics.fmean(null.std**2 for null in nulls)
        between = statistics.pvariance([null.mean for null in nulls])
        return NullDistribution(
            mean=statistics.fmean(null.mean for null in nulls),
            std=math.sqrt(within + between),
            # Each null takes a degree of freedom for its mean.
            replicates=1 + sum(null.replicates - 1 for null in nulls),
            limits=(min(low for low, _ in limits), max(high for _, high in limits))
            if len(limits) == len(nulls)
            else None,
        )
    except OverflowError:
        return None


def median(values: Sequence[float]) -> float:
    """The median, also of values whose sum is too large for a float."""
    low, high = statistics.median_low(values), statistics.median_high(values)
    middle = (low + high) / 2
    return middle if math.isfinite(middle) else low / 2 + high / 2


def plain(value: Any) -> str:
    """A swept value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else str(value)


def setting_name(setting: Iterable[tuple[str, Any]]) -> str:
    """`objective.beta 4, model.latent_dim 10`."""
    told = ", ".join(f"{path} {plain(value)}" for path, value in setting)
    return told or "the only setting"
