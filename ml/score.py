"""Scores of plain arrays, and of the rows that a model encoded."""

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
    Number,
    Rows,
    Score,
    UnusableRows,
    Value,
)
from ml.registry import find
from ml.spec_errors import InvalidSpec, describe


def score(
    codes: np.ndarray,
    factors: np.ndarray,
    metrics: Sequence[str | Mapping[str, Any] | Metric],
    *,
    seed: int = 0,
    train_rows: int | None = None,
    posterior_logvar: np.ndarray | None = None,
    posterior_sample: np.ndarray | None = None,  # noqa: ARG001
    factor_names: Sequence[str] | None = None,
    factor_sizes: Sequence[int] | None = None,  # noqa: ARG001
    factor_kinds: Sequence[FactorKind] | None = None,
) -> list[Score]:
    """Score codes (samples, latents) against factors (samples, factors).

    A metric is a name or `{"name": …, **params}`. The first `train_rows` rows (by default
    ceil(0.75 samples)) fit predictors and the rest test them; metrics without a split use all rows.
    Factors of integer dtype are discrete, of floating dtype continuous, unless `factor_kinds`
    says otherwise. Histograms are taken in the dtype given. `posterior_sample` and `factor_sizes`
    are for metrics that need them; none of those here does.

    Raises:
        UnusableRows: wrong shapes, NaN or infinities; it names the column.
        ConstantFactor: a factor takes a single value.
        InvalidSpec: a metric's parameters are wrong. UnknownComponent: its name is.
    """
    codes, factors = np.asarray(codes), np.asarray(factors)
    _check("codes", codes)
    _check("factors", factors)
    if len(codes) != len(factors):
        raise UnusableRows(f"{len(codes)} rows of codes but {len(factors)} rows of factors")
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
    for given in kinds:
        if given not in ("discrete", "continuous"):
            raise UnusableRows(f"factor_kinds are discrete or continuous, got {str(given)!r}")
    train = math.ceil(0.75 * len(codes)) if train_rows is None else train_rows
    if not 0 < train <= len(codes):
        raise UnusableRows(f"train_rows must be 1 to {len(codes)}, got {train}")
    kl = None
    if posterior_logvar is not None:
        if np.shape(posterior_logvar) != codes.shape:
            raise UnusableRows(
                f"posterior_logvar must have the codes' shape {codes.shape},"
                f" got {np.shape(posterior_logvar)}"
            )
        kl = 0.5 * (codes**2 + np.exp(posterior_logvar) - posterior_logvar - 1)
    rows = Rows(codes, factors, names, kinds, train, seed, kl)
    return [
        one
        for given in metrics
        for one in scores_of(metric_of(given), rows, codes="mean", raising=True)
    ]


def scores_of(
    metric: Metric, rows: Rows, *, codes: Literal["mean", "sample"], raising: bool = False
) -> list[Score]:
    """Every number of one metric; what goes wrong becomes the Scores' `error` unless `raising`."""
    began = time.perf_counter()
    values: Mapping[str, Value] = {}
    error = None
    try:
        if metric.needs_factors and not rows.factors.shape[1]:
            raise UnusableRows("the data set has no factors to compare codes with")
        values = metric.compute(rows)
    except Exception as problem:
        # Whatever one metric meets is its own affair; only memory concerns them all.
        if raising or isinstance(problem, MemoryError):
            raise
        error = f"{type(problem).__name__}: {problem}"
    seconds = time.perf_counter() - began
    return [
        _score(metric, number, values.get(number.name), error, rows, codes, seconds)
        for number in metric.numbers
    ]


def _score(
    metric: Metric,
    number: Number,
    value: Value | None,
    error: str | None,
    rows: Rows,
    codes: Literal["mean", "sample"],
    seconds: float,
) -> Score:
    if value is not None and not math.isfinite(value.value):
        error, value = f"the value is {value.value}", None
    return Score(
        metric=metric.name,
        name=number.name,
        value=value.value if value else None,
        error=error,
        higher_is_better=number.higher_is_better,
        range=number.range,
        perfect=number.perfect,
        codes=codes,
        params=metric.model_dump(mode="json", exclude={"name"}),
        definition=f"{metric.name}@{metric.version}",
        rows=len(rows),
        seed=rows.seed,
        seconds=seconds,
        versions=library_versions(),
        details=value.details if value else {},
    )


def metric_of(given: str | Mapping[str, Any] | Metric) -> Metric:
    """A metric by name, or by name and params. Raises `UnknownComponent`, `InvalidSpec`."""
    if isinstance(given, Metric):
        return given
    document = {"name": given} if isinstance(given, str) else dict(given)
    component = find("metric", str(document.get("name")))
    try:
        metric = TypeAdapter(component).validate_python(document)
    except ValidationError as error:
        raise InvalidSpec(describe(error, component, document)) from None
    assert isinstance(metric, Metric)
    return metric


def _check(what: str, values: np.ndarray) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise UnusableRows(f"{what} must be (samples, columns), got shape {values.shape}")
    if values.dtype.kind not in "iufb":
        raise UnusableRows(f"{what} must be numbers, got dtype {values.dtype}")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if bad.size:
        raise UnusableRows(f"{what} has NaN or infinite values in column {int(bad[0])}")
