"""Drives a metric through every known world once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ml.components.registry import components
from ml.evaluation.score import metric_of
from ml.evaluation.validity.certificate import Certificate, Driven
from ml.evaluation.validity.worlds import BASE, NOISE, PERFECT, WORLDS
from ml.metrics.protocol import AuditSetting, Metric, Number
from ml.metrics.significance import null_of

ROWS = 2160
"""Rows of a world: each combination of the factors six times."""
ROWS_OF_SLOW = 720
"""Rows for settings that an audit calls slow."""
SEED = 0
OTHER_SEEDS = (1, 2)
DIGITS = 4
"""Digits after the point that are kept of a value."""
LONGEST = 160
"""Characters kept of an error's message, or of another reason."""


def settings() -> Iterator[tuple[str, AuditSetting]]:
    """Every registered metric in the settings of an audit, and with default params."""
    for name, component in components("metric").items():
        assert issubclass(component, Metric)
        known: list[Metric] = []
        for setting in (*component.audited, AuditSetting()):
            metric = metric_of({"name": name, **setting.params})
            if metric not in known:
                known.append(metric)
                yield name, setting


def certify(name: str, setting: AuditSetting) -> Certificate:
    """What the metric gives in every world. An error in a world is kept in place of its value."""
    asked = {"name": name, **setting.params}
    metric = metric_of(asked)
    size = ROWS_OF_SLOW if setting.cost == "slow" else ROWS
    driven = {number.name: Driven(values={}) for number in _told(metric)}
    errors: dict[str, str] = {}
    for world in WORLDS:
        rows = WORLDS[world].make(SEED, size)
        here = metric
        if "continuous" in rows.factor_kinds and setting.if_continuous:
            here = metric_of({**asked, **setting.if_continuous})
        try:
            found = here.compute(rows)
            for name, one in driven.items():
                value = found[name]
                if math.isfinite(value.value):
                    one.values[world] = _rounded(value.value)
                else:
                    one.missing[world] = _cut(value.missing or f"the value is {value.value}")
        except Exception as problem:
            # A metric may raise anything, and its other worlds are still worth knowing.
            errors[world] = _said(problem)
        if world == PERFECT and not any(PERFECT in one.values for one in driven.values()):
            # Without perfect codes there is nothing to compare with.
            break
    without_value = {
        name: one.missing[PERFECT] for name, one in driven.items() if PERFECT in one.missing
    }
    driven = {name: one for name, one in driven.items() if PERFECT in one.values}
    if driven:
        _add_spread(metric, size, driven, errors)
        _add_null(metric, size, driven, errors)
    return Certificate(
        metric=metric.name,
        asked=asked,
        params=metric.model_dump(mode="json", exclude={"name"}),
        definition=f"{metric.name}@{metric.version}",
        rows=size,
        numbers=driven,
        without_value=without_value,
        errors=errors,
    )


def _told(metric: Metric) -> list[Number]:
    """The numbers that are certified. An error is 1 - informativeness, and has its properties."""
    return [number for number in metric.reported() if not number.name.startswith("error")]


def _add_spread(
    metric: Metric, size: int, driven: Mapping[str, Driven], errors: dict[str, str]
) -> None:
    """How far other seeds move the value of the same codes."""
    try:
        several = [
            metric.values(replace(WORLDS[BASE].make(SEED, size), seed=seed, shared={}))
            for seed in OTHER_SEEDS
        ]
    except Exception as problem:
        errors["other seeds"] = _said(problem)
        return
    for name, one in driven.items():
        if BASE in one.values:
            moved = max(abs(values[name] - one.values[BASE]) for values in several)
            one.spread = _rounded(moved) if moved > 10**-DIGITS else 0.0


def _add_null(
    metric: Metric, size: int, driven: Mapping[str, Driven], errors: dict[str, str]
) -> None:
    """The null of noise."""
    if not metric.needs_factors:
        return
    try:
        drawn = metric.null(WORLDS[NOISE].make(SEED, size))
    except Exception as problem:
        errors["null"] = _said(problem)
        return
    for name, one in driven.items():
        if name in drawn and np.isfinite(drawn[name]).all():
            null = null_of(drawn[name])
            one.null_mean, one.null_std = _rounded(null.mean), _rounded(null.std)


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0


def _said(problem: Exception) -> str:
    return _cut(f"{type(problem).__name__}: {problem}")


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
