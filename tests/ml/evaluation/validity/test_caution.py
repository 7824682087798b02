"""What cautions suggest: scores that measure about the same, and that the condition spares."""

from __future__ import annotations

from typing import Any

import pytest

from ml.evaluation.validity.caution import CONDITIONS, MOST_ALTERNATIVES, alternatives, cautions
from ml.evaluation.validity.certificate import certificates
from ml.evaluation.validity.properties import REQUIRED
from ml.evaluation.validity.worlds import WORLDS
from ml.metrics.protocol import Score

FACTS: dict[str, dict[str, Any]] = {
    "dependent_factors": {"one": "a", "other": "b", "share": 0.5},
    "unbalanced_factors": {"factor": "a", "share": 0.9},
    "many_values": {"factor": "a", "values": 200},
    "few_rows": {"rows": 100, "factor": "a", "values": 10, "rows_per_value": 10.0},
    "more_latents": {"latents": 20, "factors": 4},
    "dead_codes": {"codes": 4, "latents": 8},
    "continuous_factors": {"factors": 2},
}


def scores(*conditions: str) -> list[Score]:
    """A score of every number that has a certificate, on rows of these conditions."""
    return [
        Score(
            metric=one.metric,
            name=number,
            value=0.5,
            higher_is_better=True,
            range=(0.0, 1.0),
            perfect=1.0,
            params=one.params,
            definition=one.definition,
            rows=100,
            seed=0,
            versions={},
            details={"conditions": {name: FACTS[name] for name in conditions}},
        )
        for one in certificates()
        for number in one.numbers
    ]


NAMES = {
    one.label if number == one.metric else f"{number} of {one.label}": verdicts
    for one in certificates()
    for number, verdicts in one.verdicts.items()
}
"""The verdicts of every number, by its name in advice, in the order of `scores`."""


def suggested(score: Score, condition: str) -> list[str]:
    """The numbers that are suggested, without the bins that some need besides."""
    return [name.partition(":factor_bins=")[0] for name in alternatives(score, condition)]


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_is_suggested_measures_the_same_and_holds_there(name: str) -> None:
    found = [suggested(one, name) for one in scores(name)]
    assert any(found)
    for label, names in zip(NAMES, found, strict=True):
        assert len(names) <= MOST_ALTERNATIVES
        verdicts = NAMES[label]
        for other in names:
            assert NAMES[other][CONDITIONS[name].property].holds
            assert NAMES[other]["reaches_best"].holds
            assert not other.partition(" ")[0].endswith("_train")
            assert NAMES[other]["penalises_rotation"].holds is verdicts["penalises_rotation"].holds


def test_what_is_suggested_holds_under_the_other_conditions_too() -> None:
    [mig] = [one for one in scores("many_values") if one.name == "mig"]
    alone = suggested(mig, "many_values")
    assert any(not NAMES[name]["bears_more_latents"].holds for name in alone)
    [both] = [one for one in scores("many_values", "more_latents") if one.name == "mig"]
    for name in suggested(both, "many_values"):
        assert NAMES[name]["holds_with_many_values"].holds
        assert NAMES[name]["bears_more_latents"].holds


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_misleads_those_scores_that_fail_its_property(name: str) -> None:
    failing = {
        number
        for number, verdicts in NAMES.items()
        if verdicts[CONDITIONS[name].property].holds is False
    }
    misled = {
        label for label, score in zip(NAMES, scores(name), strict=True) if list(cautions([score]))
    }
    assert misled == failing


def test_every_condition_has_a_property_and_nothing_is_said_without_one() -> None:
    assert CONDITIONS.keys() == FACTS.keys()
    assert {one.property for one in CONDITIONS.values()} <= REQUIRED.keys()
    assert list(cautions(scores())) == []
    # All seven at once, of every score, are seven pieces of advice.
    assert len(list(cautions(scores(*FACTS)))) == len(FACTS)


def test_a_score_of_another_version_is_not_judged_by_this_certificate() -> None:
    old = [one.model_copy(update={"definition": f"{one.metric}@0"}) for one in scores(*FACTS)]
    assert list(cautions(old)) == [] and alternatives(old[0], "few_rows") == []


def test_the_worlds_of_a_caution_exist() -> None:
    text = " ".join(one.reason for one in cautions(scores(*FACTS)))
    assert any(f"'{world}'" in text for world in WORLDS)
