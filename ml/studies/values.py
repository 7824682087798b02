"""Which values of a study's runs count: finite numbers of runs that succeeded, and their nulls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ml.metrics.protocol import NullDistribution
from ml.studies.study import StudyRun

ENOUGH_SEEDS = 5
"""A median over fewer seeds says little."""
SUCCEEDED = "succeeded"


def counted(run: StudyRun, column: str) -> float | None:
    """The run's number if it is finite and the run succeeded, else None."""
    value = run.value(column) if run.state == SUCCEEDED else None
    return value if value is not None and math.isfinite(value) else None


def counted_values(runs: Iterable[StudyRun], column: str) -> list[float]:
    """The numbers that count, in the order of the runs."""
    return [value for run in runs if (value := counted(run, column)) is not None]


def pooled_null(runs: Iterable[StudyRun], column: str) -> NullDistribution | None:
    """The null of a run drawn from these at random.

    Its variance is the mean of the nulls' variances plus the variance of their means. Its
    replicates are those of all the nulls together, and its limits are the widest of all. It is None
    if no run that counts has a finite null, or if the nulls are too large for a float.
    """
    nulls: list[NullDistribution] = [
        null
        for run in runs
        if counted(run, column) is not None
        and (null := run.null(column)) is not None
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
            # Each null uses up one degree of freedom for its mean.
            replicates=1 + sum(null.replicates - 1 for null in nulls),
            limits=(min(low for low, _ in limits), max(high for _, high in limits))
            if len(limits) == len(nulls)
            else None,
        )
    except OverflowError:
        return None


def median(values: Sequence[float]) -> float:
    """The median. It is also right for values whose sum is too large for a float."""
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
    """A setting as text: `objective.beta 4, model.latent_dim 10`."""
    return ", ".join(f"{path} {plain(value)}" for path, value in setting) or "the only setting"
