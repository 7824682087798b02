"""Scores of plain arrays: values, nulls and intervals of each metric."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ml.codes.checked_rows import rows_of
from ml.codes.grouped_rows import grouped
from ml.codes.groups import GroupBy, Groups, columns_of
from ml.codes.repeated_rows import blocks, first_rows, trained_on
from ml.components.registry import find
from ml.components.spec_errors import Fault, InvalidSpec, describe
from ml.evaluation.row_facts import row_facts
from ml.evaluation.rows_to_halve import rows_to_halve
from ml.metrics.protocol import (
    FactorKind,
    Metric,
    NullDistribution,
    Number,
    Rows,
    Score,
    UnusableRows,
    Value,
)
from ml.metrics.significance import null_of
from ml.metrics.summed_importance import why_not_summed
from ml.reproducibility.library_versions import library_versions

Asked = str | Mapping[str, Any] | Metric
"""A metric, its name, or its name and params."""

ROUNDING = 1e-9
"""A value that passes a bound of its range by at most this is set to the bound."""


PERFECT_DETAILS = ("mutual_information",)
"""Details that are kept of perfect codes, which are the factors themselves."""


def score(
    codes: np.ndarray,
    factors: np.ndarray,
    metrics: Sequence[Asked] | Asked,
    *,
    seed: int = 0,
    train_rows: int | None = None,
    posterior_logvar: np.ndarray | None = None,
    posterior_sample: np.ndarray | None = None,
    factor_names: Sequence[str] | None = None,
    factor_sizes: Sequence[int] | None = None,
    factor_kinds: Sequence[FactorKind] | None = None,
    code_names: Sequence[str] | None = None,
    groups: Groups | None = None,
    group_by: GroupBy = "principal_component",
    uncertainty: bool = True,
) -> list[Score]:
    """Score codes (samples, latents) against factors (samples, factors).

    A metric is given by its name or by `{"name": …, **params}`; a single one need not be a list.
    Predictors are fitted on the first `train_rows` rows (by default ceil(0.75 samples)) and tested
    on the rest. Metrics without a split use all rows.

    Factors of integer dtype are discrete and those of floating dtype continuous, unless
    `factor_kinds` says otherwise. (Files follow another rule, that of `ml.codes.factor_columns`.)
    Histograms are computed in the dtype given. Advice calls the codes by `code_names`; their
    default is z0, z1, …
    `posterior_logvar` is the log variance of the posteriors whose means are the codes, and
    `posterior_sample` one sample of each. Metrics of the posterior need the first, and draw samples
    if there are none. `factor_sizes` says how many values each factor can take.
    `groups` makes one latent of several codes, by their first principal component or by their
    summed importance (`group_by`). They are sizes of consecutive groups, as in [3, 2], or the
    columns of each group, as in [[0, 1, 2], [3, 4]]. Each column is in one group.
    Without `uncertainty`, nulls and intervals are not computed. That takes a seventh of the fits
    for metrics that fit trees, and an even smaller share for others.

    Raises:
        UnusableRows: shapes are wrong, a column has NaN or infinities (the message names it),
            groups do not fit the codes, or the metric has no importance that groups could sum.
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, but the metric needs classes.
        InvalidSpec: a metric's params are wrong.
        UnknownComponent: there is no metric of this name.
    """
    rows = rows_of(
        codes,
        factors,
        seed=seed,
        train_rows=train_rows,
        posterior_logvar=posterior_logvar,
        posterior_sample=posterior_sample,
        factor_names=factor_names,
        factor_sizes=factor_sizes,
        factor_kinds=factor_kinds,
        code_names=code_names,
    )
    if groups is not None:
        rows = grouped(rows, _columns(groups), group_by)
    several = [metrics] if isinstance(metrics, str | Mapping | Metric) else metrics
    return [
        one
        for given in several
        for one in scores_of(
            metric_of(given), rows, codes="mean", uncertainty=uncertainty, raising=True
        )
    ]


def _columns(groups: Groups) -> list[list[int]]:
    try:
        return columns_of(groups)
    except ValueError as error:
        raise UnusableRows(f"groups must be {error}; got {groups!r}") from None


def scores_of(
    metric: Metric,
    rows: Rows,
    *,
    codes: Literal["mean", "sample"],
    uncertainty: bool = True,
    raising: bool = False,
) -> list[Score]:
    """Every number of one metric.

    An error of the metric becomes the `error` of its scores, unless `raising` is true. An error
    that `rows.continue_or_stop` raises always passes through to the caller.
    """
    began = time.perf_counter()
    stopped: list[Exception] = []
    ask = rows.continue_or_stop

    def continue_or_stop() -> None:
        try:
            ask()
        except Exception as stop:
            stopped.append(stop)
            raise

    rows = replace(rows, continue_or_stop=continue_or_stop)
    values: Mapping[str, Value] = {}
    error = None
    nulls: Mapping[str, NullDistribution] = {}
    widths: Mapping[str, float] = {}
    lasting: Mapping[str, float] = {}
    without_interval = None
    try:
        if metric.needs_factors and not rows.factors.shape[1]:
            raise UnusableRows(
                "the data set has no factors to compare codes with"
                + "".join(f"; {name} has a single value" for name in rows.factors_left_out)
            )
        if rows.groups is not None and rows.groups.by == "importance":
            _check_sums(metric)
        values = metric.compute(rows)
    except Exception as problem:
        # No error of one metric, such as arrays that do not fit, may stop the others.
        if raising or stopped:
            raise
        error = f"{type(problem).__name__}: {problem}"
    if uncertainty and error is None:
        nulls, widths, lasting, without_interval = _uncertainty(metric, rows, values, stopped)
    facts = row_facts(rows, metric)
    perfect = {} if error else _on_perfect_codes(metric, rows, stopped)
    seconds = time.perf_counter() - began
    return [
        _score(
            metric,
            number,
            values.get(number.name),
            error=error,
            null=nulls.get(number.name),
            half_width=widths.get(number.name),
            lasting=lasting.get(number.name, 0.0),
            without_interval=without_interval,
            facts=facts,
            perfect=perfect.get(number.name),
            rows=rows,
            codes=codes,
            seconds=seconds,
        )
        for number in metric.reported()
    ]


def _check_sums(metric: Metric) -> None:
    if (why := why_not_summed(metric)) is not None:
        raise UnusableRows(why)


def _uncertainty(
    metric: Metric, rows: Rows, values: Mapping[str, Value], stopped: Sequence[Exception]
) -> tuple[Mapping[str, NullDistribution], Mapping[str, float], Mapping[str, float], str | None]:
    """Null and half width of each number's interval, the part that lasts, and what is missing.

    Errors here (a part of the rows may be too small, or lack a class) do not affect the value. An
    error that is in `stopped` passes through.
    """
    nulls: Mapping[str, NullDistribution] = {}
    widths: Mapping[str, float] = {}
    lasting: Mapping[str, float] = {}
    problems = []
    if metric.needs_factors:
        try:
            drawn = metric.null(rows)
            nulls = {name: null_of(of) for name, of in drawn.items() if np.isfinite(of).all()}
            # A number without a value needs no null.
            lost = [one for one in drawn if one not in nulls and math.isfinite(values[one].value)]
            if lost:
                problems.append(
                    f"null: with factors permuted, {', '.join(lost)} is not always a finite number"
                )
        except Exception as problem:
            if stopped:
                raise
            problems.append(f"null: {_reason(problem)}")
    try:
        if rows.population:
            widths = metric.half_widths_of_draws(rows)
        else:
            widths, lasting = metric.half_widths(rows), metric.lasting_half_widths(rows)
    except Exception as problem:
        if stopped:
            raise
        problems.append(f"interval: {_reason(problem)}")
    return nulls, widths, lasting, "; ".join(problems) or None


def _reason(problem: Exception) -> str:
    """The error's message, with its type unless it is a ValueError or a MemoryError."""
    if isinstance(problem, ValueError | MemoryError):
        return str(problem)
    return f"{type(problem).__name__}: {problem}"


def _on_perfect_codes(
    metric: Metric, rows: Rows, stopped: Sequence[Exception]
) -> Mapping[str, Value]:
    """The numbers that perfect codes, which are the factors, get; empty if that fails."""
    try:
        return metric.on_perfect_codes(rows)
    except Exception:
        if stopped:
            raise
        return {}


def _score(
    metric: Metric,
    number: Number,
    value: Value | None,
    *,
    error: str | None,
    null: NullDistribution | None,
    half_width: float | None,
    lasting: float,
    without_interval: str | None,
    facts: Mapping[str, Any],
    perfect: Value | None,
    rows: Rows,
    codes: Literal["mean", "sample"],
    seconds: float,
) -> Score:
    # Details are of use even if the value is not a finite number.
    details = dict(value.details) | _repeats(metric, rows) if value else {}
    details |= facts
    if value is not None:
        value = replace(value, value=_within(value.value, number.range))
        if (fault := _beyond(value.value, number.range)) is not None:
            error, value = value.missing or fault, None
    if rows.factors_left_out and metric.needs_factors:
        details["factors_left_out"] = list(rows.factors_left_out)
    if value and perfect is not None and math.isfinite(perfect.value):
        details["on_perfect_codes"] = {"value": perfect.value} | {
            name: perfect.details[name] for name in PERFECT_DETAILS if name in perfect.details
        }
    if without_interval:
        details["without_uncertainty"] = without_interval
    halving = rows_to_halve(
        len(rows),
        half_width if value else None,
        lasting=lasting,
        available=rows.available,
        population=rows.population,
    )
    return Score(
        metric=metric.name,
        name=number.name,
        value=value.value if value else None,
        error=error,
        higher_is_better=number.higher_is_better,
        range=number.range,
        perfect=number.perfect,
        null=null if value else None,
        ci95=_interval(value.value, half_width, number.range) if value else None,
        codes=codes,
        params=metric.model_dump(mode="json", exclude={"name"}),
        definition=f"{metric.name}@{metric.version}",
        rows=len(rows),
        population=rows.population,
        rows_to_halve=halving.rows,
        rows_to_halve_missing=halving.missing,
        train_rows=rows.train if metric.fits_training_rows() else None,
        factors=list(rows.factor_names) if metric.needs_factors else None,
        groups=rows.groups,
        seed=rows.seed,
        seconds=seconds,
        versions=library_versions(),
        details=details,
    )


def _repeats(metric: Metric, rows: Rows) -> dict[str, int]:
    """How many rows are repeated, as far as that makes the score doubtful."""
    repeated = len(rows) - len(first_rows(blocks(rows)))
    if not repeated or metric.needs == "posterior":
        return {}
    found = {"repeated_rows": repeated}
    if metric.uses == "split" and (known := trained_on(rows)):
        found |= {"test_rows": len(rows) - rows.train, "test_rows_trained_on": known}
    return found


def _within(value: float, bounds: tuple[float | None, float | None]) -> float:
    """The value, or the bound of its range that it passes by rounding."""
    low, high = bounds
    if low is not None and low - ROUNDING <= value < low:
        return low
    if high is not None and high < value <= high + ROUNDING:
        return high
    return value


def _beyond(value: float, bounds: tuple[float | None, float | None]) -> str | None:
    """Why the value cannot be right, or None if it can."""
    low, high = bounds
    if not math.isfinite(value):
        return f"the value is {value}"
    if (low is not None and value < low) or (high is not None and value > high):
        return f"the value {value} is beyond what it can be, {low} to {high}"
    return None


def _interval(
    value: float, half_width: float | None, bounds: tuple[float | None, float | None]
) -> tuple[float, float] | None:
    """The interval of half the width to either side of the value, cut to the number's range."""
    if half_width is None or not math.isfinite(half_width):
        return None
    low, high = value - half_width, value + half_width
    if bounds[0] is not None:
        low = min(value, max(low, bounds[0]))
    if bounds[1] is not None:
        high = max(value, min(high, bounds[1]))
    return low, high


def metric_of(given: Asked) -> Metric:
    """The metric of this name, or of this name and params.

    Raises:
        UnknownComponent: there is no metric of this name.
        InvalidSpec: the params are wrong.
    """
    if isinstance(given, Metric):
        return given
    if not isinstance(given, str | Mapping):
        raise InvalidSpec([Fault("metrics", given, "a metric's name, or a mapping with its name")])
    document = {"name": given} if isinstance(given, str) else dict(given)
    component = find("metric", str(document.get("name")))
    try:
        metric = TypeAdapter(component).validate_python(document)
    except ValidationError as error:
        raise InvalidSpec(describe(error, component, document)) from None
    assert isinstance(metric, Metric)
    return metric
