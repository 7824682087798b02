"""Properties: each fails by what a number gives in its own world, and by nothing else."""

from __future__ import annotations

import pytest

from ml.evaluation.validity.properties import PROPERTIES, REQUIRED, SEEN, Found, judged
from ml.evaluation.validity.worlds import BASE, NOISE, PATH, WORLDS, noisy
from ml.metrics.protocol import Number

UPWARDS = Number("score")
DOWNWARDS = Number("distance", higher_is_better=False, perfect=0.0)
SEEN_WORLDS = (
    *("pair rotated", "all rotated", "merged", "duplicated", "split", "circular", "dropped"),
    "warped",
)


def good() -> dict[str, float]:
    """What a score gives that has every property and sees every change."""
    values = dict.fromkeys(WORLDS, 1.0)
    values |= {noisy(share): 1 - share for share in PATH}
    values |= dict.fromkeys(SEEN_WORLDS, 0.5)
    values |= {world: 0.0 for world in WORLDS if world.endswith("noise")}
    values |= dict.fromkeys(("dead", "rescaled", "permuted", "reordered"), values[BASE])
    return values


def failing(
    values: dict[str, float], number: Number = UPWARDS, *, null: float = 0.0, spread: float = 0.0
) -> set[str]:
    found = Found(values, null, 0.01, spread)
    verdicts = judged(number, found, needs_factors=True)
    return {name for name, verdict in verdicts.items() if verdict.holds is not True}


def test_a_score_that_has_every_property_fails_none() -> None:
    assert failing(good()) == set()


CHANGES = [
    ("noise 5%", 0.4, {"monotone_to_noise"}),
    ("noise 80%", 0.54, {"monotone_to_noise"}),
    (NOISE, 0.11, {"low_for_noise", "at_null_for_noise"}),
    ("100 rows", 0.94, {"holds_with_few_rows"}),
    ("300 rows of noise", 0.06, {"holds_with_few_rows"}),
    ("correlated 80%", 0.94, {"fair_under_correlation"}),
    ("correlated 50%", 1.06, {"fair_under_correlation"}),
    ("unbalanced", 0.94, {"fair_under_imbalance"}),
    ("unbalanced noise", 0.06, {"fair_under_imbalance"}),
    ("40 values", 0.94, {"holds_with_many_values"}),
    ("200 values", 0.94, {"holds_with_many_values"}),
    ("continuous", 0.94, {"holds_for_continuous"}),
    ("4 more", 0.94, {"bears_more_latents"}),
    ("16 more", 0.94, {"bears_more_latents"}),
    ("dead", 0.76, {"ignores_dead_codes"}),
    ("rescaled", 0.84, {"ignores_scale"}),
    ("permuted", 0.84, {"ignores_order_of_codes"}),
    ("reordered", 0.76, {"ignores_order_of_classes"}),
    ("all rotated", 0.96, {"penalises_rotation"}),
    ("pair rotated", 0.96, {"penalises_rotation"}),
    ("merged", 0.96, {"penalises_merged"}),
    ("duplicated", 0.96, {"penalises_duplicates"}),
    ("split", 0.96, {"penalises_split"}),
    ("circular", 0.96, {"penalises_circular"}),
    ("dropped", 0.96, {"penalises_dropped"}),
    ("warped", 0.96, {"penalises_warped"}),
    ("warped", 1.04, {"penalises_warped", "best_for_perfect"}),
]


@pytest.mark.parametrize(("world", "value", "fails"), CHANGES)
def test_a_property_fails_by_what_its_world_gives(
    world: str, value: float, fails: set[str]
) -> None:
    changed = good() | {world: value}
    assert failing(changed) == fails
    # The same in the other direction, and on a scale that has no bounds.
    mirrored = {name: 1 - one for name, one in changed.items()}
    assert failing(mirrored, DOWNWARDS, null=1.0) == fails
    unbounded = Number("nats", range=(None, None), perfect=1000.0)
    scaled = {name: 1000 * one for name, one in changed.items()}
    # It has no worst value.
    assert failing(scaled, unbounded) == fails | {"low_for_noise"}


def test_a_score_that_stays_below_its_best_value_fails_that_alone() -> None:
    assert failing({world: 0.96 * value for world, value in good().items()}) == set()
    assert failing({world: 0.94 * value for world, value in good().items()}) == {"reaches_best"}


def test_every_property_is_failed_by_some_change() -> None:
    failed = set.union(*(fails for _, _, fails in CHANGES))
    assert failed == PROPERTIES.keys() - {"reaches_best"}


def test_what_other_seeds_move_is_allowed() -> None:
    assert failing(good() | {"permuted": 0.7}) == {"ignores_order_of_codes"}
    assert failing(good() | {"permuted": 0.7}, spread=0.1) == set()


def test_a_null_above_zero_excuses_noise_but_does_not_make_it_low() -> None:
    assert failing(good() | {NOISE: 0.2}, null=0.2) == {"low_for_noise"}


def test_noise_that_is_low_by_luck_does_not_make_a_high_null_low() -> None:
    assert failing(good(), null=0.2) == {"low_for_noise"}
    assert failing(good(), null=0.09) == set()


def test_a_number_without_a_direction_has_no_property() -> None:
    verdicts = judged(Number("kl", higher_is_better=None), Found(good(), 0, 0), needs_factors=True)
    assert {verdict.holds for verdict in verdicts.values()} == {None}


def test_without_factors_only_invariances_are_judged() -> None:
    verdicts = judged(UPWARDS, Found(good()), needs_factors=False)
    judgeable = {name for name, verdict in verdicts.items() if verdict.holds is not None}
    assert judgeable == {
        "ignores_dead_codes",
        "ignores_scale",
        "ignores_order_of_codes",
        *SEEN,
    }


def test_a_world_that_gave_an_error_is_no_failure() -> None:
    values = good()
    del values["continuous"]
    found = Found(values, 0.0, 0.01, 0.0, {"continuous": "UnfitFactor: no classes"})
    verdict = judged(UPWARDS, found, needs_factors=True)["holds_for_continuous"]
    assert verdict.holds is None and "no classes" in str(verdict.why)
    # Of several worlds those that gave a value are judged.
    del values["200 values"]
    found = Found(values | {"40 values": 0.5}, errors={"200 values": "too many"})
    verdict = judged(UPWARDS, found, needs_factors=True)["holds_with_many_values"]
    assert verdict.holds is False and verdict.worst.world == "40 values"


def test_the_worst_check_is_the_failure_that_is_furthest_off() -> None:
    values = good() | {"correlated 50%": 0.9, "correlated 80%": 0.4}
    verdict = judged(UPWARDS, Found(values), needs_factors=True)["fair_under_correlation"]
    assert verdict.worst == ("correlated 80%", 0.4, 1.0, False)


def test_names_and_words_of_properties_differ() -> None:
    assert len({one.short for one in PROPERTIES.values()}) == len(PROPERTIES)
    assert not REQUIRED.keys() & SEEN.keys()
