from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from store.jobs.claim import claim
from store.jobs.heartbeat import beat
from store.states import JobKind
from tests.api.service import SPEC, Service, problem

SWEEP = {**SPEC, "name": "betas", "tags": ["demo"], "sweep": {"objective.beta": [1, 4]}}


def test_a_posted_experiment_is_accepted_and_found_where_location_says(
    service_on_each: Service,
) -> None:
    answer = service_on_each.client.post("/v1/experiments", json=SWEEP)
    assert answer.status_code == 202
    document = answer.json()
    assert answer.headers["location"] == f"/v1/experiments/{document['id']}"
    assert service_on_each.json(answer.headers["location"]) == document
    assert document["name"] == "betas" and document["state"] == "queued"
    assert document["tags"] == ["demo"] and document["spec"] == SWEEP
    assert document["counts"] == {"queued": 2} and document["eta_seconds"] is None
    assert [
        (run["index"], run["swept"], run["state"], run["reused"]) for run in document["runs"]
    ] == [(0, {"objective.beta": 1}, "queued", False), (1, {"objective.beta": 4}, "queued", False)]
    age = datetime.now(UTC) - datetime.fromisoformat(document["created_at"])
    assert timedelta(0) <= age + timedelta(seconds=1) < timedelta(minutes=1)
    for link in ("self", "runs"):
        service_on_each.json(document["links"][link])


def test_an_experiment_without_a_name_is_called_after_its_work(service: Service) -> None:
    assert service.post(SPEC)["name"] == "beta_vae on digits"


def test_a_runs_spec_has_every_default(service: Service) -> None:
    run = service.json(f"/v1/runs/{service.run_of(service.post(SPEC))}")
    assert run["spec"]["objective"] == {"name": "beta_vae", "beta": 4.0, "beta_norm": None}
    assert run["spec"]["training"]["steps"] == 300_000
    assert (run["dataset"], run["objective"], run["seed"]) == ("digits", "beta_vae", 0)


def test_an_experiments_state_follows_its_runs(service: Service) -> None:
    path = f"/v1/experiments/{service.post(SWEEP)['id']}"
    service.finish()
    assert service.json(path)["state"] == "running"
    assert service.json(path)["counts"] == {"succeeded": 1, "queued": 1}
    service.finish()
    assert service.json(path)["state"] == "succeeded"
    assert {run["state"] for run in service.json(path)["runs"]} == {"succeeded"}


def test_eta_is_the_longest_of_the_runs_under_way(service: Service) -> None:
    path = f"/v1/experiments/{service.post(SWEEP)['id']}"
    claims = claim(service.database, JobKind.TRAIN, worker="w", lease_seconds=60, width=2)
    for taken, seconds in zip(claims, (30.0, 90.0), strict=True):
        assert service.json(path)["eta_seconds"] is None
        beat(service.database, taken, lease_seconds=60, progress={"eta_seconds": seconds})
    assert service.json(path)["eta_seconds"] == 90.0


def test_the_same_work_is_done_once(service_on_each: Service) -> None:
    first = service_on_each.post(SWEEP)
    again = service_on_each.post(SWEEP)
    assert again["id"] != first["id"]
    assert [run["reused"] for run in again["runs"]] == [True, True]
    assert [run["id"] for run in again["runs"]] == [run["id"] for run in first["runs"]]


def test_force_asks_for_new_work(service: Service) -> None:
    first = service.run_of(service.post(SPEC))
    [forced] = service.post(SPEC, "?force=true")["runs"]
    assert not forced["reused"] and forced["id"] != first
    assert service.run_of(service.post(SPEC)) == forced["id"]


def same_work(**changes: Any) -> Any:
    return pytest.param(changes, id=", ".join(changes))


@pytest.mark.parametrize(
    "changes",
    [
        same_work(name="another", tags=["x"], notes="why"),
        same_work(evaluation={"metrics": [{"name": "mig", "bins": 10}]}),
        same_work(traversal={"frames": 5}),
        same_work(training={"checkpoint_minutes": 9}),
        same_work(
            dataset={"name": "digits", "size": 64}, objective={"name": "beta_vae", "beta": 4}
        ),
    ],
)
def test_what_decides_no_weight_trains_nothing_anew(
    service: Service, changes: dict[str, Any]
) -> None:
    first = service.run_of(service.post(SPEC))
    [run] = service.post(SPEC | changes)["runs"]
    assert run["reused"] and run["id"] == first


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"objective": "vae"}, {"training": {"steps": 7}}, {"model": "burgess"}]
)
def test_what_decides_weights_is_other_work(service: Service, changes: dict[str, Any]) -> None:
    first = service.run_of(service.post(SPEC))
    [run] = service.post(SPEC | changes)["runs"]
    assert not run["reused"] and run["id"] != first


def test_a_finished_run_answers_at_once(service: Service) -> None:
    service.post(SPEC)
    service.finish()
    again = service.post(SPEC)
    assert again["state"] == "succeeded" and again["runs"][0]["state"] == "succeeded"


def test_other_metrics_of_a_finished_run_are_only_evaluated(service: Service) -> None:
    service.post(SPEC)
    service.finish()
    again = service.post({**SPEC, "evaluation": {"metrics": [{"name": "mig", "bins": 10}]}})
    assert again["runs"][0]["state"] == "evaluating"
    service.evaluate()
    assert service.json(f"/v1/experiments/{again['id']}")["state"] == "succeeded"
    assert len(service.json(f"/v1/runs/{service.run_of(again)}/scores")["items"]) == 2


def test_a_cancelled_experiment_can_be_resumed(service_on_each: Service) -> None:
    path = f"/v1/experiments/{service_on_each.post(SPEC)['id']}"
    cancelled = service_on_each.client.post(f"{path}/cancel")
    assert cancelled.status_code == 202
    assert cancelled.json()["state"] == "cancelled"
    assert cancelled.json()["runs"][0]["state"] == "cancelled"
    resumed = service_on_each.client.post(f"{path}/resume")
    assert resumed.status_code == 202 and resumed.json()["state"] == "queued"


def test_cancelling_one_experiment_leaves_another_its_run(service: Service) -> None:
    first, second = service.post(SPEC), service.post(SPEC)
    service.client.post(f"/v1/experiments/{first['id']}/cancel")
    assert service.json(f"/v1/experiments/{first['id']}")["state"] == "cancelled"
    assert service.json(f"/v1/experiments/{second['id']}")["state"] == "queued"
    assert service.json(f"/v1/runs/{service.run_of(first)}")["state"] == "queued"


def test_what_has_ended_cannot_be_cancelled(service: Service) -> None:
    experiment = service.post(SPEC)
    service.finish()
    for path in (f"/v1/experiments/{experiment['id']}", f"/v1/runs/{service.run_of(experiment)}"):
        refused = problem(service.client.post(f"{path}/cancel"), 409)
        assert "succeeded" in refused["detail"] and "queued" in refused["detail"]


def test_what_was_cancelled_cannot_be_cancelled_again(service: Service) -> None:
    experiment = service.post(SPEC)
    for path in (f"/v1/experiments/{experiment['id']}", f"/v1/runs/{service.run_of(experiment)}"):
        service.client.post(f"{path}/cancel")
        refused = problem(service.client.post(f"{path}/cancel"), 409)
        assert "is cancelled" in refused["detail"]


def test_what_is_under_way_cannot_be_resumed(service: Service) -> None:
    experiment = service.post(SPEC)
    service.take()
    paths = {
        f"/v1/experiments/{experiment['id']}": "running",
        f"/v1/runs/{service.run_of(experiment)}": "training",
    }
    for path, state in paths.items():
        refused = problem(service.client.post(f"{path}/resume"), 409)
        assert f"is {state}" in refused["detail"] and "failed or cancelled" in refused["detail"]
