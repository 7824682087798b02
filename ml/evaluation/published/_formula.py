"""Formulas of public codebases, each tied to the score of ours that it belongs beside."""

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
"""Numbers this near each other are one number, computed in another order."""


class Verdict(Enum):
    """What to think of a codebase's number on the rows given, where ours stands beside it."""

    SAME = "same"  #: It is our number, or neither code gives one.
    DIFFERENT = "different definition"  #: Another choice that can be defended: name it when citing.
    WRONG = "wrong"  #: Not what the metric is said to be, or no number where there is one.


class Reason(BaseModel):
    """Why a number is not ours, in a sentence, and what follows for the number."""

    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Codebase:
    """A repository whose numbers people publish."""

    name: str
    """In few letters, for tables."""
    repository: str
    commit: str


@dataclass(frozen=True)
class Outcome:
    """What a formula gives on some rows, and what sets it apart from ours."""

    value: float | None
    reasons: Sequence[Reason] = ()
    """None for our own definition. Where the number is ours all the same, they are not told."""
    instead: str | None = None
    """`nan`, or what it raises, where there is no value."""
    close: float = CLOSE
    """How near ours its value is the same number."""


class Published(BaseModel):
    """What a codebase prints beside a score of ours."""

    codebase: str
    settings: str | None
    """How it is called, where it stands here more than once."""
    repository: str
    commit: str
    source: str
    """The file in the repository that computes it."""
    value: float | None
    instead: str | None
    """What comes in place of a number: `nan`, or what is raised."""
    verdict: Verdict
    reasons: list[Reason]
    """Empty where the numbers are the same."""


Compute = Callable[[Rows, Score], Outcome | None]
"""The outcome beside our score, or None where the codebase does not take such rows."""


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
    """Make a formula known as the codebase's counterpart of our `metric` with these `params`.

    `numbers` are those of the metric's numbers that it is asked for, by default the one that is
    called as the metric is.
    """

    def known(compute: Compute) -> Compute:
        names = numbers or (metric,)
        _formulas.append(_Formula(codebase, settings, source, metric, names, params, compute))
        return compute

    return known


def ours(score: Score) -> Outcome | None:
    """The same definition: our own score, which is not computed twice."""
    return None if score.value is None else Outcome(score.value)


def different(why: str) -> Reason:
    """Another definition, which may give our number on some rows all the same."""
    return Reason(verdict=Verdict.DIFFERENT, why=why)


def wrong(why: str) -> Reason:
    """A fault of the code, which may do no harm on some rows."""
    return Reason(verdict=Verdict.WRONG, why=why)


def no_number(instead: str, why: str) -> Outcome:
    """`nan`, or what is raised."""
    return Outcome(None, [wrong(why)], instead)


def published(rows: Rows, score: Score) -> list[Published]:
    """What every codebase that has this metric would have printed for this score."""
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
