from __future__ import annotations

import pytest

from ml.experiments.presets.preset import presets
from tests.api.service import Service, problem


def test_the_list_has_every_preset_with_the_number_of_its_runs(shared: Service) -> None:
    items = shared.json("/v1/presets")["items"]
    assert {item["name"]: item["runs"] for item in items} == {
        name: found.runs for name, found in presets().items()
    }
    for item in items:
        assert shared.json(item["links"]["self"]).items() >= item.items()


def test_a_preset_has_a_spec_that_can_be_posted(shared: Service) -> None:
    document = shared.json("/v1/presets/locatello2019")
    assert document["differs"] and document["places"]
    address = f"{document['links']['experiments']}?dry_run=true"
    answer = shared.client.post(address, json=document["spec"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["runs"] == document["runs"] == 1800
    assert answer.json()["steps"] == 1800 * 300_000


def test_choices_are_in_the_spec(shared: Service) -> None:
    document = shared.json("/v1/presets/locatello2019?dataset=digits&seeds=5")
    assert document["runs"] == 36 * 5
    assert document["spec"]["dataset"] == "digits"
    assert document["spec"]["sweep"]["seed"] == [0, 1, 2, 3, 4]
    assert shared.json("/v1/presets/locatello2019")["runs"] == 1800


def test_a_name_that_is_not_known_gets_the_nearest(shared: Service) -> None:
    found = problem(shared.get("/v1/presets/tutorail"), 404)
    assert [(one["path"], one["nearest"]) for one in found["errors"]] == [("preset", "tutorial")]


@pytest.mark.parametrize("query", ["seeds=0", "seeds=10001", "seeds=a", "dataset=", "steps=5"])
def test_choices_that_cannot_be_meant_are_refused(shared: Service, query: str) -> None:
    found = problem(shared.get(f"/v1/presets/tutorial?{query}"), 422)
    assert [one["path"] for one in found["errors"]] == [query.partition("=")[0]]
