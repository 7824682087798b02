"""The properties of a good metric, judged from what a number of it gives in known worlds.

`REQUIRED` are properties that every score should have: where one fails, the score says something of
the data or of the encoding's form that a reader takes for a lack of the codes. `SEEN` are changes
of a perfect code that a score may or may not be made to see. They say what it measures: a score of
modularity does not see duplicates, and one of explicitness does not see a rotation.

Values are compared on the score's own scale if it is bounded. Otherwise they are divided by the
distance of perfect codes from noise.

References:
    the desiderata of Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276, section 3 (noise,
    nonlinear relations, calibration), Eastwood and Williams, 2018,
    https://openreview.net/forum?id=By-7dz-AZ, and Ridgeway and Mozer, 2018,
    https://arxiv.org/abs/1802.05312 (modularity, compactness, explicitness);
    Sepliarskaia et al., 2019, https://arxiv.org/abs/1910.05587 (metrics that perfect codes do not
    lead)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ml.evaluation.validity.worlds import BASE, FEW, MANY, MORE, NOISE, PATH, PERFECT, STRENGTHS
from ml.evaluation.validity.worlds import noisy as _noisy
from ml.metrics.protocol import Number

CLOSE = 0.05
"""Values that differ by less are equal, where the data differ."""
SAME = 0.03
"""Values that differ by less are equal, where codes say the same in another form. What other seeds
change comes on top."""
LOW = 0.1
"""Largest share of the way to perfect codes that noise may come."""
NULL_DEVIATIONS = 3.0
PERMUTED = "permuted noise"
"""What a check calls noise whose factors were permuted many times: the null."""


@dataclass(frozen=True)
class Found:
    """What one number of a metric gave in each world."""

    values: Mapping[str, float]
    """By world. A world that gave an error is missing."""
    null_mean: float | None = None
    """Of noise with permuted factors."""
    null_std: float | None = None
    spread: float = 0.0
    """How far other seeds of the metric's own draws moved the value of the same codes."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """By world."""


class Check(NamedTuple):
    """A property in one world."""

    world: str
    value: float
    """What the number gave there."""
    expected: float
    """What it should have given, or what it gave of the codes it is compared with."""
    holds: bool


class Verdict(NamedTuple):
    """Whether a number has a property."""

    holds: bool | None
    """None if the property does not apply."""
    checks: tuple[Check, ...] = ()
    why: str | None = None
    """Why it does not apply."""

    @property
    def worst(self) -> Check:
        """The check that is furthest from what it should be, among those that fail if any do."""
        failed = [one for one in self.checks if not one.holds] or list(self.checks)
        return max(failed, key=lambda one: abs(one.value - one.expected))


class Property(NamedTuple):
    """A property that a score may have."""

    short: str
    """A word for it, for tables."""
    meaning: str
    judge: Callable[[Number, Found], Verdict]
    needs_factors: bool = True
    """Whether it says something only of metrics that compare codes with factors."""


class _Missing(Exception):
    """A world of the property gave no value."""


def _value(found: Found, world: str) -> float:
    if world not in found.values:
        raise _Missing(f"{world}: {found.errors.get(world, 'no value')}")
    return found.values[world]


def _scale(number: Number, found: Found) -> float:
    """The unit of differences."""
    if None not in number.range:
        return 1.0
    return max(abs(_value(found, PERFECT) - _value(found, NOISE)), 1e-9)


def better_by(number: Number, value: float, than: float) -> float:
    """By how much a value is better than another."""
    return value - than if number.higher_is_better else than - value


def best_of(number: Number) -> float | None:
    """The value that perfect codes should reach, if there is one."""
    if number.perfect is not None:
        return number.perfect
    return number.range[1 if number.higher_is_better else 0]


def _all(checks: Iterable[Check]) -> Verdict:
    several = tuple(checks)
    return Verdict(all(one.holds for one in several), several)


def _reaches_best(number: Number, found: Found) -> Verdict:
    best = best_of(number)
    if best is None:
        return Verdict(None, why="no best value is declared")
    value = _value(found, PERFECT)
    return _all([Check(PERFECT, value, best, abs(value - best) <= CLOSE)])


def _best_for_perfect(number: Number, found: Found) -> Verdict:
    perfect = _value(found, PERFECT)
    tolerance = SAME * _scale(number, found) + found.spread
    return _all(
        Check(world, value, perfect, better_by(number, value, perfect) <= tolerance)
        for world, value in found.values.items()
        if world in ON_THE_SAME_FACTORS
    )


def _monotone(number: Number, found: Found) -> Verdict:
    tolerance = SAME * _scale(number, found) + found.spread
    checks = []
    lowest = _value(found, PERFECT)
    for share in PATH[1:]:
        value = _value(found, _noisy(share))
        checks.append(
            Check(_noisy(share), value, lowest, better_by(number, value, lowest) <= tolerance)
        )
        lowest = min(lowest, value) if number.higher_is_better else max(lowest, value)
    return _all(checks)


def _at_null(number: Number, found: Found) -> Verdict:
    if found.null_mean is None or found.null_std is None:
        return Verdict(None, why="it has no null")
    value = _value(found, NOISE)
    reach = max(SAME * _scale(number, found), NULL_DEVIATIONS * found.null_std)
    holds = better_by(number, value, found.null_mean) <= reach
    return _all([Check(NOISE, value, found.null_mean, holds)])


def _low(number: Number, found: Found) -> Verdict:
    worst = number.range[0 if number.higher_is_better else 1]
    if number.higher_is_better and worst is not None and worst < 0:
        worst = 0.0  # Of scores that may be negative, as R² is, 0 is what guessing gets.
    if worst is None:
        return Verdict(None, why="it has no worst value")
    perfect = _value(found, PERFECT)
    # One draw of noise may come out low by luck. The null is the mean over several.
    given = {NOISE: _value(found, NOISE), PERMUTED: found.null_mean}
    return _all(
        Check(world, value, worst, better_by(number, value, worst) <= LOW * abs(perfect - worst))
        for world, value in given.items()
        if value is not None
    )


def _as_in(reference: str, *worlds: str, tolerance: float = CLOSE) -> Callable[..., Verdict]:
    """The value is the same as in the world of reference."""

    def judge(number: Number, found: Found) -> Verdict:
        expected, allowed = _value(found, reference), tolerance * _scale(number, found)
        checks = []
        for world in worlds:
            if world not in found.values and world in found.errors:
                continue
            value = _value(found, world)
            checks.append(
                Check(world, value, expected, abs(value - expected) <= allowed + found.spread)
            )
        if not checks:
            raise _Missing(f"{worlds[0]}: {found.errors[worlds[0]]}")
        return _all(checks)

    return judge


def _noise_no_better(*pairs: tuple[str, str]) -> Callable[[Number, Found], Verdict]:
    """Perfect codes get the same as in the world of reference, and noise gets no more."""

    def judge(number: Number, found: Found) -> Verdict:
        allowed = CLOSE * _scale(number, found) + found.spread
        checks = []
        for perfect, noise in pairs:
            for world, reference in ((perfect, PERFECT), (noise, NOISE)):
                if world not in found.values and world in found.errors:
                    continue
                value, expected = _value(found, world), _value(found, reference)
                gain = better_by(number, value, expected)
                holds = gain <= allowed if reference == NOISE else abs(gain) <= allowed
                checks.append(Check(world, value, expected, holds))
        if not checks:
            raise _Missing(f"{pairs[0][0]}: {found.errors[pairs[0][0]]}")
        return _all(checks)

    return judge


def _sees(*worlds: str) -> Callable[[Number, Found], Verdict]:
    """The value is worse than that of perfect codes in each of the worlds."""

    def judge(number: Number, found: Found) -> Verdict:
        perfect = _value(found, PERFECT)
        needed = CLOSE * _scale(number, found) + found.spread
        return _all(
            Check(
                world,
                _value(found, world),
                perfect,
                better_by(number, perfect, _value(found, world)) > needed,
            )
            for world in worlds
        )

    return judge


REQUIRED: dict[str, Property] = {
    "reaches_best": Property(
        "best", f"perfect codes reach the best value, to within {CLOSE:g}", _reaches_best
    ),
    "best_for_perfect": Property(
        "leads",
        "no other codes of the same factors score better than perfect ones",
        _best_for_perfect,
    ),
    "monotone_to_noise": Property(
        "path", "it does not get better as noise is mixed into codes", _monotone
    ),
    "at_null_for_noise": Property("null", "noise scores no better than its null", _at_null),
    "low_for_noise": Property(
        "low",
        f"noise, and its null, come at most {LOW:.0%} of the way from the worst value to perfect"
        " codes",
        _low,
    ),
    "holds_with_few_rows": Property(
        "few",
        f"on {FEW[0]} and {FEW[1]} rows perfect codes score the same, and noise no better",
        _noise_no_better(*((f"{n} rows", f"{n} rows of noise") for n in FEW)),
    ),
    "fair_under_correlation": Property(
        "correlated",
        "perfect codes score the same if factors depend on each other",
        _as_in(PERFECT, *(f"correlated {strength:.0%}" for strength in STRENGTHS)),
    ),
    "fair_under_imbalance": Property(
        "unbalanced",
        "perfect codes score the same if some classes are rare, and noise no better",
        _noise_no_better(("unbalanced", "unbalanced noise")),
    ),
    "holds_with_many_values": Property(
        "many",
        f"perfect codes score the same if a factor has {MANY[0]} or {MANY[1]} values",
        _as_in(PERFECT, *(f"{values} values" for values in MANY)),
    ),
    "holds_for_continuous": Property(
        "continuous",
        "perfect codes score the same if factors are continuous",
        _as_in(PERFECT, "continuous"),
    ),
    "bears_more_latents": Property(
        "latents",
        f"perfect codes score the same beside {MORE[0]} or {MORE[1]} codes of noise",
        _as_in(PERFECT, *(f"{number} more" for number in MORE)),
    ),
    "ignores_dead_codes": Property(
        "dead",
        "constant codes change nothing",
        _as_in(BASE, "dead", tolerance=SAME),
        needs_factors=False,
    ),
    "ignores_scale": Property(
        "scale",
        "the scale of codes changes nothing",
        _as_in(BASE, "rescaled", tolerance=SAME),
        needs_factors=False,
    ),
    "ignores_order_of_codes": Property(
        "order",
        "the order of codes changes nothing",
        _as_in(BASE, "permuted", tolerance=SAME),
        needs_factors=False,
    ),
    "ignores_order_of_classes": Property(
        "classes",
        "the numbers of a factor's classes change nothing",
        _as_in(BASE, "reordered", tolerance=SAME),
    ),
}
"""Properties that every score should have."""

SEEN: dict[str, Property] = {
    "penalises_rotation": Property(
        "rotation",
        "codes that a rotation has mixed score worse",
        _sees("pair rotated", "all rotated"),
        False,
    ),
    "penalises_merged": Property(
        "merged", "one code for two factors scores worse", _sees("merged"), False
    ),
    "penalises_duplicates": Property(
        "duplicates", "every code twice scores worse", _sees("duplicated"), False
    ),
    "penalises_split": Property(
        "split", "factors spread over two codes each score worse", _sees("split"), False
    ),
    "penalises_circular": Property(
        "circular", "an angle as its cosine and sine scores worse", _sees("circular"), False
    ),
    "penalises_dropped": Property(
        "dropped", "codes without one of the factors score worse", _sees("dropped"), False
    ),
    "penalises_warped": Property(
        "warped",
        "codes that are a nonlinear function of factors score worse",
        _sees("warped"),
        False,
    ),
}
"""Changes of a perfect code that a score may or may not be made to see."""

PROPERTIES = REQUIRED | SEEN

ON_THE_SAME_FACTORS = frozenset(
    {_noisy(share) for share in PATH[1:]}
    | {"pair rotated", "all rotated", "merged", "duplicated", "split", "circular", "dropped"}
    | {"warped", "dead"}
    | {f"{number} more" for number in MORE}
)
"""Worlds whose factors are those of perfect codes."""


def judged(number: Number, found: Found, *, needs_factors: bool) -> dict[str, Verdict]:
    """The verdict on every property, by its name."""
    return {
        name: _judged(one, number, found, needs_factors=needs_factors)
        for name, one in PROPERTIES.items()
    }


def _judged(one: Property, number: Number, found: Found, *, needs_factors: bool) -> Verdict:
    if number.higher_is_better is None:
        return Verdict(None, why="neither direction is better")
    if one.needs_factors and not needs_factors:
        return Verdict(None, why="it knows no factors")
    try:
        verdict = one.judge(number, found)
    except _Missing as missing:
        return Verdict(None, why=str(missing))
    assert all(math.isfinite(check.value) for check in verdict.checks)
    return verdict
