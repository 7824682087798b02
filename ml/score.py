"""Scores of plain arrays: values, nulls and intervals of each metric."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ml.environment import library_versions
from ml.metric import (
    FactorKind,
    Metric,
    NullDistribution,
    Number,
    Rows,
    Score,
    UnusableRows,
    Value,
)
from ml.recorder import Stopped
from ml.registry import find
from ml.spec_errors import Fault, InvalidSpec, describe

Asked = str | Mapping[str, Any] | Metric
"""A metric by name, by name and params, or as it is."""
LARGEST = 1e150
"""What is beyond has no square."""


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
    uncertainty: bool = True,
) -> list[Score]:
    """Score codes (samples, latents) against factors (samples, factors).

    A metric is a name or `{"name": …, **params}`; a single one need not be a list. The first
    `train_rows` rows (by default ceil(0.75 samples)) fit predictors and the rest test them; metrics
    without a split use all rows.
    Factors of integer dtype are discrete, of floating dtype continuous, unless `factor_kinds`
    says otherwise. Histograms are taken in the dtype given. `posterior_sample` and `factor_sizes`
    are for metrics that need them; none of those here does. Without `uncertainty` only values are
    computed, which takes a seventh of the fits where a predictor is fitted.

    Raises:
        UnusableRows: wrong shapes, NaN or infinities; it names the column.
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous where the metric needs classes.
        InvalidSpec: a metric's parameters are wrong. UnknownComponent: its name is.
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
    )
    several = [metrics] if isinstance(metrics, str | Mapping | Metric) else metrics
    return [
        one
        for given in several
        for one in scores_of(
            metric_of(given), rows, codes="mean", uncertainty=uncertainty, raising=True
        )
    ]


def rows_of(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    seed: int = 0,
    train_rows: int | None = None,
    posterior_logvar: np.ndarray | None = None,
    posterior_sample: np.ndarray | None = None,  # noqa: ARG001
    factor_names: Sequence[str] | None = None,
    factor_sizes: Sequence[int] | None = None,  # noqa: ARG001
    factor_kinds: Sequence[FactorKind] | None = None,
) -> Rows:
    """Arrays, checked, as rows that metrics take; parameters are those of `score`.

    Raises:
        UnusableRows: what is wrong, and in which column or row.
    """
    codes, factors = _plain("codes", codes), _plain("factors", factors)
    _check("codes", codes)
    _check("factors", factors)
    if len(codes) != len(factors):
        raise UnusableRows(f"{len(codes)} rows of codes but {len(factors)} rows of factors")
    if len(codes) < 2:
        raise UnusableRows("a single row cannot be scored; give at least two")
    columns = factors.shape[1]
    names = (
        tuple(map(str, factor_names))
        if factor_names is not None
        else tuple(f"factor_{k}" for k in range(columns))
    )
    kind: FactorKind = "continuous" if factors.dtype.kind == "f" else "discrete"
    kinds = tuple(factor_kinds) if factor_kinds is not None else (kind,) * columns
    for what, given in (("factor_names", names), ("factor_kinds", kinds)):
        if len(given) != columns:
            raise UnusableRows(f"{len(given)} {what} for {columns} columns of factors")
    for name in names:
        if names.count(name) > 1:
            raise UnusableRows(f"two columns of factors are called {name!r}")
    for given in kinds:
        if given not in ("discrete", "continuous"):
            raise UnusableRows(f"factor_kinds are discrete or continuous, got {str(given)!r}")
    train = math.ceil(0.75 * len(codes)) if train_rows is None else train_rows
    if not isinstance(train, int | np.integer) or not 0 < train <= len(codes):
        raise UnusableRows(f"train_rows must be 1 to {len(codes)}, got {train}")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UnusableRows(f"seed must be an integer from 0, got {seed}")
    kl = None
    if posterior_logvar is not None:
        posterior_logvar = _plain("posterior_logvar", posterior_logvar)
        _check("posterior_logvar", posterior_logvar)
        if posterior_logvar.shape != codes.shape:
            raise UnusableRows(
                f"posterior_logvar must have the codes' shape {codes.shape},"
                f" got {posterior_logvar.shape}"
            )
        kl = 0.5 * (codes**2 + np.exp(posterior_logvar) - posterior_logvar - 1)
    return Rows(codes, factors, names, kinds, int(train), int(seed), kl)


def scores_of(
    metric: Metric,
    rows: Rows,
    *,
    codes: Literal["mean", "sample"],
    uncertainty: bool = True,
    raising: bool = False,
) -> list[Score]:
    """Every number of one metric; what goes wrong becomes the Scores' `error` unless `raising`.

    What the caller's `rows.continue_or_stop` raises passes through, if it is no ValueError.
    """
    began = time.perf_counter()
    values: Mapping[str, Value] = {}
    error = None
    nulls: Mapping[str, NullDistribution] = {}
    widths: Mapping[str, float] = {}
    without_interval = None
    try:
        if metric.needs_factors and not rows.factors.shape[1]:
            raise UnusableRows("the data set has no factors to compare codes with")
        values = metric.compute(rows)
    except Stopped:
        raise
    except Exception as problem:
        # Whatever one metric meets is its own affair, arrays that do not fit among it.
        if raising:
            raise
        error = f"{type(problem).__name__}: {problem}"
    if uncertainty and error is None:
        nulls, widths, without_interval = _uncertainty(metric, rows)
    seconds = time.perf_counter() - began
    return [
        _score(
            metric,
            number,
            values.get(number.name),
            error=error,
            null=nulls.get(number.name),
            half_width=widths.get(number.name),
            without_interval=without_interval,
            rows=rows,
            codes=codes,
            seconds=seconds,
        )
        for number in metric.reported()
    ]


def _uncertainty(
    metric: Metric, rows: Rows
) -> tuple[Mapping[str, NullDistribution], Mapping[str, float], str | None]:
    """Null and half width of each number, and why there is none where there is none."""
    nulls: Mapping[str, NullDistribution] = {}
    widths: Mapping[str, float] = {}
    problems = []
    # Too few rows for a part of them to be scored, for instance; the value stands all the same.
    if metric.needs_factors:
        try:
            nulls = {name: _null(values) for name, values in metric.null(rows).items()}
        except (ValueError, MemoryError) as problem:
            problems.append(f"null: {problem}")
    try:
        widths = metric.half_widths(rows)
    except (ValueError, MemoryError) as problem:
        problems.append(f"interval: {problem}")
    return nulls, widths, "; ".join(problems) or None


def _null(values: np.ndarray) -> NullDistribution:
    return NullDistribution(
        mean=float(values.mean()), std=float(values.std(ddof=1)), replicates=len(values)
    )


def _score(
    metric: Metric,
    number: Number,
    value: Value | None,
    *,
    error: str | None,
    null: NullDistribution | None,
    half_width: float | None,
    without_interval: str | None,
    rows: Rows,
    codes: Literal["mean", "sample"],
    seconds: float,
) -> Score:
    if value is not None and not math.isfinite(value.value):
        error, value = f"the value is {value.value}", None
    details = dict(value.details) if value else {}
    if without_interval:
        details["without_uncertainty"] = without_interval
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
        seed=rows.seed,
        seconds=seconds,
        versions=library_versions(),
        details=details,
    )


def _interval(
    value: float, half_width: float | None, bounds: tuple[float | None, float | None]
) -> tuple[float, float] | None:
    """The value give or take half the width, within what the number can be at all."""
    if half_width is None or not math.isfinite(half_width):
        return None
    low, high = value - half_width, value + half_width
    if bounds[0] is not None:
        low = min(value, max(low, bounds[0]))
    if bounds[1] is not None:
        high = max(value, min(high, bounds[1]))
    return low, high


def metric_of(given: Asked) -> Metric:
    """A metric by name, or by name and params. Raises `UnknownComponent`, `InvalidSpec`."""
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


def _plain(what: str, values: np.ndarray) -> np.ndarray:
    if np.ma.is_masked(values):
        raise UnusableRows(f"{what} has masked values; leave their rows out, or fill them")
    return np.asarray(values)


def _check(what: str, values: np.ndarray) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise UnusableRows(f"{what} must be (samples, columns), got shape {values.shape}")
    if values.dtype.kind not in "iufb" or values.dtype.itemsize > 8:
        raise UnusableRows(f"{what} must be numbers, got dtype {values.dtype}")
    finite = np.isfinite(values)
    bad = np.flatnonzero(~finite.all(axis=0))
    if bad.size:
        column = int(bad[0])
        row = int(np.flatnonzero(~finite[:, column])[0])
        raise UnusableRows(
            f"{what} has NaN or infinite values in column {column}, first in row {row}"
        )
    if values.dtype.kind == "f" and values.dtype.itemsize == 8:
        large = np.flatnonzero((np.abs(values) > LARGEST).any(axis=0))
        if large.size:
            raise UnusableRows(
                f"{what} has values beyond {LARGEST:g} in column {int(large[0])}; rescale it"
            )
