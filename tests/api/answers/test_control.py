"""Retrying, cloning, and changing what an experiment is called."""

from __future__ import annotations

import pytest

from tests.api.service import SPEC, Service, problem


def test_only_what_failed_is_retried(service_on_each: Service) -> None:
    service = service_on_each
    made = service.post({**SPEC, "sweep": {"seed": [0, 1, 2]}})
    here = f"/v1/experiments/{made['id']}"
    problem(service.client.post(f"{here}/retry"), 409)
    service.fail()
    service.client.post(f"{here}/cancel")
    assert service.json(here)["counts"] == {"failed": 1, "cancelled": 2}
    answer = service.accepted(service.client.post(f"{here}/retry"))
    assert answer["counts"] == {"queued": 1, "cancelled": 2}
    [failed, cancelled, _] = [f"/v1/runs/{run['id']}" for run in made["runs"]]
    service.fail()
    assert "cancelled" in problem(service.client.post(f"{cancelled}/retry"), 409)["detail"]
    assert service.accepted(service.client.post(f"{failed}/retry"))["state"] == "queued"


def test_a_clone_is_the_spec_with_changes(service: Service) -> None:
    made = service.post({**SPEC, "name": "one", "sweep": {"seed": [0, 1]}})
    here = f"/v1/experiments/{made['id']}/clone"
    changes = {"name": "two", "objective.beta": 8, "sweep.seed": [1, 2, 3]}
    planned = service.client.post(f"{here}?dry_run=true", json={"changes": changes})
    assert planned.status_code == 200 and planned.json()["runs"] == 3
    clone = service.accepted(service.client.post(here, json={"changes": changes}))
    assert clone["name"] == "two" and clone["id"] != made["id"]
    assert [run["swept"] for run in clone["runs"]] == [{"seed": seed} for seed in (1, 2, 3)]
    run = service.json(f"/v1/runs/{clone['runs'][0]['id']}")
    assert run["spec"]["objective"]["beta"] == 8
    same = service.accepted(service.client.post(here, json={}))
    assert [run["reused"] for run in same["runs"]] == [True, True]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"changes": {"objective.beat": 8}}, "objective.beat"),
        ({"changes": {"seed.x": 8}}, "seed.x"),
        ({"changes": []}, "changes"),
        ({"change": {}}, "change"),
        ([], ""),
        ({"changes": {"sweep": 3, "sweep.seed": [1]}}, "sweep"),
    ],
)
def test_what_cannot_be_changed_is_named(service: Service, body: object, path: str) -> None:
    id = service.post({**SPEC, "seed": 0})["id"]
    errors = problem(service.client.post(f"/v1/experiments/{id}/clone", json=body), 422)["errors"]
    assert path in {error["path"] for error in errors} or path.startswith(errors[0]["path"])


def test_names_tags_and_notes_are_changed_afterwards(service_on_each: Service) -> None:
    service = service_on_each
    id = service.post({**SPEC, "name": "one", "tags": ["a"], "notes": "n"})["id"]
    here = f"/v1/experiments/{id}"
    answer = service.client.patch(here, json={"notes": "as in figure 3", "tags": ["b", "c"]})
    assert answer.status_code == 200
    document = answer.json()
    assert (document["name"], document["tags"], document["notes"]) == (
        "one",
        ["b", "c"],
        "as in figure 3",
    )
    assert service.client.patch(here, json={}).json() == service.json(here)
    for wrong in ({"tags": "b"}, {"name": ""}, {"owner": "x"}, [], {"notes": 1}):
        problem(service.client.patch(here, json=wrong), 422)
    problem(service.client.patch("/v1/experiments/exp_x", json={"notes": "x"}), 404)
