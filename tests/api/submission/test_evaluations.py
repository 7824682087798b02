"""Evaluations of files that clients send: what is taken, and what comes of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ml.metrics.protocol import Score
from ml.spec.parts import Evaluation
from store.jobs.finish import fail, finish_evaluation
from store.states import JobKind
from tests.api.service import Service, problem, scores
from tests.npz import CODES, FACTORS, npz

ERROR = {"type": "ValueError", "message": "no", "advice": "another file"}


def test_a_file_goes_through_its_states_to_scores(service_on_each: Service) -> None:
    service, data = service_on_each, npz()
    answer = service.upload(data, {"metrics": ["mig"], "seed": 3, "name": "mine"})
    document = service.accepted(answer)
    path = answer.headers["location"]
    assert path == f"/v1/evaluations/{document['id']}" == document["links"]["self"]
    assert (document["state"], document["run"], document["scores"]) == ("queued", None, None)
    sha256 = hashlib.sha256(data).hexdigest()
    assert document["file"] == {"name": "codes.npz", "sha256": sha256, "bytes": len(data)}
    assert document["spec"]["metrics"][0]["name"] == "mig"
    assert (document["spec"]["seed"], document["spec"]["name"]) == (3, "mine")
    assert document["reused"] is False
    assert service.json(path) == document | {"reused": None}
    with service.objects.open(sha256) as kept:
        assert kept.read() == data

    taken = service.take(JobKind.EVALUATE)
    assert service.json(path)["state"] == "running"
    assert service.json(f"{path}/scores")["items"] == []
    finish_evaluation(service.database, taken, scores=scores())
    done = service.json(path)
    assert (done["state"], done["progress"]["stage"]) == ("succeeded", "done")
    assert done["created_at"] <= done["finished_at"]
    assert [one["value"] for one in done["scores"]] == [pytest.approx(1.0)]
    assert set(done["scores"][0]) == set(Score.model_fields)
    page = service.json(done["links"]["scores"])
    assert page == {"items": done["scores"], "next_cursor": None, "advice": []}


def test_an_evaluation_says_what_was_understood_of_its_file(service: Service) -> None:
    held = {"z": CODES, "mu": CODES, "labels": FACTORS.astype(float), "images": CODES}
    sent = npz(codes=None, factors=None, **held)
    refused = problem(service.upload(sent), 422)["errors"]
    assert [(one["path"], one["got"]) for one in refused] == [("file.codes", "z, mu")]
    document = service.accepted(service.upload(sent, {"codes_array": "mu"}))
    understood = document["understood"]
    assert (understood["rows"], understood["codes"]) == (60, ["z0", "z1", "z2"])
    assert understood["factors"] == [
        {"name": "factor_0", "kind": "discrete", "values": 3},
        {"name": "factor_1", "kind": "discrete", "values": 4},
    ]
    assert [one["name"] for one in understood["left_aside"]] == ["z", "images"]
    assert understood["assumed"] == [
        "the array 'labels' has the factors",
        "factor 'factor_0': its floating numbers are integers of 3 values, taken as classes",
        "factor 'factor_1': its floating numbers are integers of 4 values, taken as classes",
    ]
    said = {"codes_array": "mu", "factor_kinds": ["continuous"] * 2, "factor_names": ["a", "b"]}
    other = service.accepted(service.upload(sent, said))
    assert other["id"] != document["id"]
    assert other["understood"]["assumed"] == [
        "the array 'labels' has the factors",
        "factor 'a' is continuous and no metrics were asked for: sap is by correlation and dci by"
        " lasso, as their usual predictors predict classes",
    ]
    metrics = {one["name"]: one.get("predictor") for one in other["spec"]["metrics"]}
    assert metrics == {"mig": None, "sap": "correlation", "dci": "lasso"}
    assert [one["name"] for one in other["understood"]["factors"]] == ["a", "b"]
    again = service.accepted(service.upload(sent, {"codes_array": "mu"}))
    assert (again["id"], again["understood"]) == (document["id"], understood)
    fault = problem(service.upload(sent, {"codes_array": "mus"}), 422)["errors"][0]
    assert (fault["path"], fault["nearest"]) == ("file.codes_array", "mu")


def test_without_a_spec_the_defaults_are_those_of_a_run(service: Service) -> None:
    spec = service.accepted(service.upload(npz()))["spec"]
    assert spec["metrics"] == Evaluation().model_dump(mode="json")["metrics"]
    assert (spec["seed"], spec["train_rows"], spec["uncertainty"]) == (0, None, True)


def test_the_spec_may_come_as_a_file_and_the_file_with_folders_in_its_name(
    service: Service,
) -> None:
    parts = {
        "spec": ("spec.json", json.dumps({"seed": 9}), "application/json"),
        "file": ("C:\\data/../my codes\u00e9.npz", npz()),
    }
    document = service.accepted(service.client.post("/v1/evaluations", files=parts))
    assert document["spec"]["seed"] == 9
    assert document["file"]["name"] == "my codesé.npz"


def test_the_same_of_the_same_file_is_not_computed_twice(service: Service) -> None:
    first = service.accepted(service.upload(npz(), {"metrics": ["mig"]}))
    renamed = {"metrics": [{"name": "mig", "bins": 20}], "name": "another name", "seed": 0}
    again = service.accepted(service.upload(npz(), renamed, name="copy.npz"))
    assert (again["id"], again["reused"]) == (first["id"], True)
    assert again["file"]["name"] == "codes.npz"
    for other in ({"metrics": [{"name": "mig", "bins": 5}]}, {"seed": 1}, {"train_rows": 30}):
        answer = service.accepted(service.upload(npz(), {"metrics": ["mig"]} | other))
        assert answer["id"] != first["id"] and answer["reused"] is False
    assert service.accepted(service.upload(npz(compressed=False)))["reused"] is False


def test_evaluations_of_files_are_listed_newest_first_without_scores(service: Service) -> None:
    service.post()
    sent = [service.accepted(service.upload(npz(), {"seed": seed}))["id"] for seed in range(3)]
    finish_evaluation(service.database, service.take(JobKind.EVALUATE), scores=scores())
    answer = service.get("/v1/evaluations?limit=2")
    first = answer.json()
    assert answer.links["next"]["url"].endswith(first["next_cursor"].replace("=", "%3D"))
    second = service.json(answer.links["next"]["url"])
    found = [*first["items"], *second["items"]]
    assert [one["id"] for one in found] == sent[::-1]
    assert [one["state"] for one in found] == ["queued", "queued", "succeeded"]
    assert all(one["scores"] is None for one in found)
    problem(service.get("/v1/evaluations?cursor=x"), 422)


def test_a_failed_evaluation_says_why_and_can_be_resumed(service: Service) -> None:
    path = service.accepted(service.upload(npz()))["links"]["self"]
    fail(service.database, service.take(JobKind.EVALUATE), ERROR)
    document = service.json(path)
    assert (document["state"], document["error"]) == ("failed", ERROR)
    resumed = service.accepted(service.client.post(f"{path}/resume"))
    assert (resumed["state"], resumed["error"]) == ("queued", None)
    fail(service.database, service.take(JobKind.EVALUATE), ERROR)
    assert service.accepted(service.client.post(f"{path}/retry"))["state"] == "queued"


def test_a_waiting_evaluation_is_cancelled_and_an_ended_one_is_not(service: Service) -> None:
    path = service.accepted(service.upload(npz()))["links"]["self"]
    assert service.accepted(service.client.post(f"{path}/cancel"))["state"] == "cancelled"
    assert "is cancelled" in problem(service.client.post(f"{path}/cancel"), 409)["detail"]
    assert "is cancelled" in problem(service.client.post(f"{path}/retry"), 409)["detail"]
    assert service.accepted(service.client.post(f"{path}/resume"))["state"] == "queued"
    assert "is queued" in problem(service.client.post(f"{path}/resume"), 409)["detail"]


@pytest.mark.parametrize("rest", ["", "/scores"])
def test_what_does_not_exist_is_not_found(shared: Service, rest: str) -> None:
    assert "'x'" in problem(shared.get(f"/v1/evaluations/x{rest}"), 404)["detail"]


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_what_does_not_exist_is_not_stopped(shared: Service, verb: str) -> None:
    problem(shared.client.post(f"/v1/evaluations/x/{verb}"), 404)


def test_a_finished_evaluation_of_a_run_is_found_by_itself(service: Service) -> None:
    run_id = service.run_of(service.post())
    service.finish()
    [listed] = service.json(f"/v1/runs/{run_id}/evaluations")["items"]
    document: dict[str, Any] = service.json(listed["links"]["self"])
    assert (document["run"], document["file"]) == (run_id, None)
    assert document["links"]["run"] == f"/v1/runs/{run_id}"
    assert document["scores"] == service.json(f"/v1/runs/{run_id}/scores")["items"]
    assert set(document["spec"]) == {"evaluation", "traversal"}
    assert service.json("/v1/evaluations")["items"] == []


def test_groups_of_codes_are_checked_against_the_file(service: Service) -> None:
    document = service.accepted(service.upload(npz(), {"groups": [2, 1]}))
    assert document["spec"]["groups"] == [[0, 1], [2]]
    assert document["understood"]["codes"] == ["z0", "z1", "z2"]
    assert service.accepted(service.upload(npz(), {}))["id"] != document["id"]
    for spec, path in (
        ({"groups": [2, 2]}, "spec.groups"),
        ({"groups": [[0, 1]]}, "spec.groups"),
        ({"groups": [[0, 0]]}, "spec.groups"),
        ({"groups": [2, 1], "group_by": "importance", "metrics": ["mig"]}, "spec.group_by"),
    ):
        faults = problem(service.upload(npz(), spec), 422)["errors"]
        assert [one["path"] for one in faults] == [path]
