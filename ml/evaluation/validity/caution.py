"""Cautions: scores that mislead on data like those at hand, according to their certificates.

The rows' conditions are in the details of their scores (`ml.evaluation.conditions`). Each condition
has a property that a score fails where the condition misleads it. A caution names the condition,
the scores that fail the property with what they gave in the known world that is nearest, and scores
that measure the same and hold there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ml.evaluation.conditions import conditions
from ml.evaluation.validity.certificate import Certificate, certificate_of, certificates
from ml.evaluation.validity.properties import SEEN, Check, Verdict
from ml.evaluation.validity.worlds import SIZES, WORLDS
from ml.metrics.protocol import Score

NEAR = 0.5
"""A failure counts for data at which a condition has this share of its level in the world."""
MORE_ROWS = 10
"""With so many times the rows of a world of few rows, rows are not few as they are there."""
MOST_LISTED = 5
MOST_ALTERNATIVES = 3
ROWS_OF_LEVELS = 2160

LEAST_ALIKE = 5
"""Of the changes of a perfect code, so many must be seen or not seen by both of two numbers that
measure about the same. A rotation must be: it tells a structure of codes from what they hold."""

OF_ALTERNATIVES = ("reaches_best", "low_for_noise", "at_null_for_noise")
"""Properties of what is named in place of another score, besides that which the other lacks."""


class Caution(NamedTuple):
    """A condition of the rows, and the scores that it misleads."""

    about: str
    """`rows` or `codes`."""
    reason: str
    suggestion: str


class _Misled(NamedTuple):
    """A score and the check that it fails in the world that is nearest to its rows."""

    score: Score
    certificate: Certificate
    check: Check


Facts = Mapping[str, Any]
"""The numbers of a condition."""


class _Condition(NamedTuple):
    """How a condition is told of, and how far its worlds are from the rows."""

    about: str
    property: str
    said: Callable[[Facts], str]
    near: Callable[[Facts, str], bool]
    """Whether the condition is strong enough for what happens in a world to happen here."""
    remedy: str
    codes: str = "perfect codes"
    """The codes that are compared, unless they are noise."""


def _number(world: str) -> float:
    """The number that the world's name begins with."""
    return float(world.split()[0])


@cache
def _dependence(world: str) -> float:
    found = conditions(WORLDS[world].make(0, ROWS_OF_LEVELS)).get("dependent_factors")
    return 0.0 if found is None else float(found["share"])


def _always(found: Facts, world: str) -> bool:  # noqa: ARG001
    return True


def _rows_as_few(found: Facts, world: str) -> bool:
    rows = _number(world)
    each = found["rows_per_value"]
    return bool(NEAR * each <= rows / max(SIZES) and found["rows"] <= MORE_ROWS * rows)


def _as_many_latents(found: Facts, world: str) -> bool:
    there = (len(SIZES) + _number(world)) / len(SIZES)
    return bool(found["latents"] / found["factors"] >= NEAR * there)


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


HOLD_AGAINST = "hold them against what perfect codes get on rows like these"

CONDITIONS: dict[str, _Condition] = {
    "dependent_factors": _Condition(
        "rows",
        "fair_under_correlation",
        lambda found: (
            f"factors depend on each other, {found['one']} tells {found['share']:.0%} of"
            f" {found['other']}"
        ),
        lambda found, world: found["share"] >= NEAR * _dependence(world),
        HOLD_AGAINST,
    ),
    "unbalanced_factors": _Condition(
        "rows",
        "fair_under_imbalance",
        lambda found: (
            f"the values of {found['factor']} are unbalanced, one has"
            f" {found['share']:.0%} of the rows"
        ),
        _always,
        "read them beside their nulls",
    ),
    "many_values": _Condition(
        "rows",
        "holds_with_many_values",
        lambda found: f"{found['factor']} has {found['values']} values",
        lambda found, world: found["values"] >= NEAR * _number(world),
        HOLD_AGAINST,
    ),
    "few_rows": _Condition(
        "rows",
        "holds_with_few_rows",
        lambda found: (
            f"rows are few, {found['rows_per_value']:g} for each of the {found['values']}"
            f" {'bins' if found.get('binned') else 'values'} of {found['factor']}"
        ),
        _rows_as_few,
        "give more rows, and read them beside their nulls",
    ),
    "more_latents": _Condition(
        "codes",
        "bears_more_latents",
        lambda found: (
            f"there are {_several(found['latents'], 'code')} for"
            f" {_several(found['factors'], 'factor')}"
        ),
        _as_many_latents,
        "leave out codes that the model does not use",
        "perfect codes beside noise",
    ),
    "dead_codes": _Condition(
        "codes",
        "ignores_dead_codes",
        lambda found: f"{found['codes']} of {found['latents']} codes are constant",
        _always,
        "leave constant codes out",
        "codes beside constant ones",
    ),
    "continuous_factors": _Condition(
        "rows",
        "holds_for_continuous",
        lambda found: (
            f"{_several(found['factors'], 'factor')} of these rows"
            f" {'is' if found['factors'] == 1 else 'are'} continuous"
        ),
        _always,
        HOLD_AGAINST,
    ),
}


def cautions(scores: Sequence[Score]) -> Iterator[Caution]:
    """A caution for each condition of the rows that misleads some of the scores."""
    for name, condition in CONDITIONS.items():
        misled = [one for score in scores for one in _misled(score, name, condition)]
        if misled:
            found = misled[0].score.details["conditions"][name]
            others = not_misled(
                next(filter(None, (alternatives(one.score, name) for one in misled)), [])
            )
            yield Caution(
                condition.about,
                f"{condition.said(found)}; {_what_happens(misled, condition)}",
                f"{others}, or {condition.remedy}" if others else condition.remedy,
            )


def not_misled(names: Sequence[str]) -> str:
    """That these numbers may be read in place of others, or an empty text if there are none."""
    if not names:
        return ""
    return f"see {', '.join(names)}, which {'is' if len(names) == 1 else 'are'} not misled there"


def alternatives(score: Score, condition: str) -> list[str]:
    """The names of some numbers to read in place of a score under a condition.

    They numbers that measure about the same and hold there by their certificates, as they do
    under all conditions of the rows, if there are any. None is high for codes that know nothing.
    """
    than = certificate_of(score.metric, score.params, score.definition)
    if than is None or score.name not in than.verdicts:
        return []
    needed = CONDITIONS[condition].property
    others = {CONDITIONS[name].property for name in score.details.get("conditions", {})} - {needed}
    continuous = "continuous_factors" in score.details.get("conditions", {})
    holding = []
    for one in certificates():
        for number, verdicts in one.verdicts.items():
            # What a predictor knows of the rows that it was fitted on says little.
            if number.endswith("_train") or not all(
                verdicts[name].holds for name in (needed, *OF_ALTERNATIVES)
            ):
                continue
            alike = _alike(than.verdicts[score.name], verdicts)
            everywhere = all(verdicts[name].holds is not False for name in others)
            if alike >= LEAST_ALIKE:
                called = _named(one, number, continuous=continuous)
                holding.append((not everywhere, -alike, called))
    # The order of equals stays that of the certificates.
    holding.sort(key=lambda found: found[:2])
    names = [name for elsewhere, _, name in holding if elsewhere == holding[0][0]]
    return names[:MOST_ALTERNATIVES]


def _alike(one: Mapping[str, Verdict], other: Mapping[str, Verdict]) -> int:
    """How many changes of a perfect code both numbers see, or both do not see."""
    if one["penalises_rotation"].holds != other["penalises_rotation"].holds:
        return 0
    return sum(one[name].holds == other[name].holds for name in SEEN)


def _misled(score: Score, name: str, condition: _Condition) -> Iterator[_Misled]:
    found = score.details.get("conditions", {}).get(name)
    if found is None or score.value is None:
        return
    certificate = certificate_of(score.metric, score.params, score.definition)
    verdict = certificate and certificate.verdicts.get(score.name, {}).get(condition.property)
    if not certificate or not verdict:
        return
    # What perfect codes get on these very rows is told beside the score, and is nearer.
    told = condition.about == "rows" and "on_perfect_codes" in score.details
    checks = [
        check
        for check in verdict.checks
        if not check.holds
        and condition.near(found, check.world)
        and (_is_of_noise(check) or not told)
    ]
    if checks:
        worst = max(checks, key=lambda one: abs(one.value - one.expected))
        yield _Misled(score, certificate, worst)


def _is_of_noise(check: Check) -> bool:
    return check.world.endswith("noise")


def _what_happens(misled: Sequence[_Misled], condition: _Condition) -> str:
    parts = []
    for whose, of_noise in ((condition.codes, False), ("codes that know nothing", True)):
        several = [_given(one) for one in misled if _is_of_noise(one.check) is of_noise]
        if several:
            more = f" and {len(several) - MOST_LISTED} more" if len(several) > MOST_LISTED else ""
            parts.append(f"{whose} get {', '.join(several[:MOST_LISTED])}{more}")
    worlds = list(dict.fromkeys(f"'{one.check.world}'" for one in misled))
    known = f"in the known world{'s' if len(worlds) > 1 else ''} {', '.join(worlds)}"
    return f"{known} {'; '.join(parts)}"


def _given(one: _Misled) -> str:
    name, check = _named(one.certificate, one.score.name), one.check
    return f"{name} {check.value:.2g} in place of {check.expected:.2g}"


def _named(certificate: Certificate, number: str, *, continuous: bool = False) -> str:
    """The number and its metric, with the bins that a classifier needs of continuous factors."""
    label = certificate.label_with(certificate.if_continuous if continuous else {})
    return label if number == certificate.metric else f"{number} of {label}"
