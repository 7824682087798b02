"""Formulas of public codebases, each with our own metric that it is compared with."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel

from ml.codes.rows import Rows
from ml.metrics.protocol import Score

CLOSE = 1e-9
"""Numbers with a smaller difference are the same number, computed in another order."""


class Verdict(Enum):
    """A judgement of a codebase's number on given rows, in comparison with ours."""

    SAME = "same"  #: It is our number, or neither code gives one.
    DIFFERENT = "different definition"  #: It is a choice that can be defended: name it when citing.
    WRONG = "wrong"  #: It is not what the metric is said to be, or is missing where there is one.


class Reason(BaseModel):
    """Why a codebase's number differs from ours, with the verdict that follows."""

    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Codebase:
    """A repository whose numbers people publish."""

    name: str
    """A short name for tables."""
    repository: str
    commit: str


@dataclass(frozen=True)
class Outcome:
    """The result of a formula on some rows, and why it differs from ours."""

    value: float | None
    reasons: Sequence[Reason] = ()
    """Reasons for a difference; none for our own definition. They are left out if the numbers are
    the same."""
    instead: str | None = None
    """`nan`, or the error that the code raises, if there is no value."""
    close: float = CLOSE
    """Largest difference from our value with which it is the same number."""


class Published(BaseModel):
    """The number that a codebase prints in place of a score of ours."""

    codebase: str
    settings: str | None
    """The settings of the call, if the codebase is listed with more than one."""
    repository: str
    commit: str
    source: str
    """The file in the repository that computes it."""
    value: float | None
    instead: str | None
    """What comes in place of a number: `nan`, or the error that is raised."""
    verdict: Verdict
    reasons: list[Reason]
    """Empty if the numbers are the same."""


Compute = Callable[[Rows, Score], Outcome | None]
"""The outcome to compare with our score, or None if the codebase does not take such rows."""


@dataclass(frozen=True)
class _Formula:
    codebase: Codebase
    settings: str | None
    source: str
    metric: str
    numbers: tuple[str, ...]
    params: dict[str, Any]
    compute: Compute


_formulas: list[_Formula] = []


def formula(
    codebase: Codebase,
    metric: str,
    *numbers: str,
    source: str,
    settings: str | None = None,
    **params: Any,
) -> Callable[[Compute], Compute]:
    """Register a formula as the codebase's counterpart of our `metric` with these `params`.

    `numbers` are the metric's numbers that the formula computes; by default it is the one with the
    metric's own name.
    """

    def registered(compute: Compute) -> Compute:
        names = numbers or (metric,)
        _formulas.append(_Formula(codebase, settings, source, metric, names, params, compute))
        return compute

    return registered


def ours(score: Score) -> Outcome | None:
    """The outcome of the same definition: our own score, without computing it again."""
    return None if score.value is None else Outcome(score.value)


def different(why: str) -> Reason:
    """A reason: another definition. It may still give our number on some rows."""
    return Reason(verdict=Verdict.DIFFERENT, why=why)


def wrong(why: str) -> Reason:
    """A reason: a fault of the code. It may do no harm on some rows."""
    return Reason(verdict=Verdict.WRONG, why=why)


def no_number(instead: str, why: str) -> Outcome:
    """The outcome without a number: `instead` is `nan`, or the error that is raised."""
    return Outcome(None, [wrong(why)], instead)


def published(rows: Rows, score: Score) -> list[Published]:
    """The number that each codebase with this metric would print in place of this score."""
    return [
        _judged(one, outcome, score)
        for one in _known()
        if one.metric == score.metric
        and score.name in one.numbers
        and one.params.items() <= score.params.items()
        and (outcome := one.compute(rows, score)) is not None
    ]


def _judged(one: _Formula, outcome: Outcome, score: Score) -> Published:
    same = _same(outcome.value, score.value, outcome.close)
    reasons = [] if same else list(outcome.reasons)
    verdicts = [reason.verdict for reason in reasons]
    return Published(
        codebase=one.codebase.name,
        settings=one.settings,
        repository=one.codebase.repository,
        commit=one.codebase.commit,
        source=one.source,
        value=outcome.value,
        instead=outcome.instead,
        verdict=next(
            (v for v in (Verdict.WRONG, Verdict.DIFFERENT) if v in verdicts), Verdict.SAME
        ),
        reasons=reasons,
    )


def _same(theirs: float | None, our: float | None, close: float) -> bool:
    if theirs is None or our is None:
        return theirs is our
    return math.isclose(theirs, our, rel_tol=close, abs_tol=close)


@cache
def _known() -> list[_Formula]:
    package = importlib.import_module("ml.evaluation.published")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_formulas, key=lambda one: (one.codebase.name, one.settings or ""))
