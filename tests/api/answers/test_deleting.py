"""Deleting and pinning over HTTP."""

from __future__ import annotations

from tests.api.service import SPEC, Service, problem
from tests.npz import npz

SWEEP = {**SPEC, "sweep": {"seed": [0, 1]}}


def test_a_deleted_experiment_is_gone_and_its_runs_with_it(service_on_each: Service) -> None:
    experiment = service_on_each.post(SWEEP)
    path = f"/v1/experiments/{experiment['id']}"
    refused = service_on_each.client.delete(path)
    assert "queued" in problem(refused, 409)["detail"]
    service_on_each.finish()
    service_on_each.finish()
    assert service_on_each.client.delete(path).status_code == 204
    assert service_on_each.get(path).status_code == 404
    assert service_on_each.client.delete(path).status_code == 404
    for run in experiment["runs"]:
        assert service_on_each.get(f"/v1/runs/{run['id']}").status_code == 404
    assert service_on_each.json("/v1/runs")["items"] == []


def test_what_is_pinned_stays(service: Service) -> None:
    experiment = service.post(SWEEP)
    path = f"/v1/experiments/{experiment['id']}"
    kept, other = (f"/v1/runs/{run['id']}" for run in experiment["runs"])
    service.finish()
    service.finish()
    assert not service.json(path)["pinned"] and not service.json(kept)["pinned"]
    assert service.client.post(service.json(path)["links"]["pin"]).json()["pinned"]
    refused = service.client.delete(path)
    assert "unpin it" in problem(refused, 409)["detail"]
    assert not service.client.post(service.json(path)["links"]["unpin"]).json()["pinned"]
    assert service.client.post(service.json(kept)["links"]["pin"]).json()["pinned"]
    assert service.client.delete(path).status_code == 204
    assert service.json(kept)["experiments"] == [] and service.get(other).status_code == 404
    assert not service.client.post(f"{kept}/unpin").json()["pinned"]


def test_an_experiment_tells_what_its_files_take_up(service: Service) -> None:
    experiment = service.post(SWEEP)
    path = f"/v1/experiments/{experiment['id']}"
    assert service.json(path)["usage"] == {"artifacts": 0, "checkpoints": 0}
    service.finish()
    service.finish()
    files = {
        file["sha256"]: file["bytes"]
        for run in experiment["runs"]
        for file in service.json(f"/v1/runs/{run['id']}/artifacts")["items"]
    }
    assert service.json(path)["usage"] == {"artifacts": sum(files.values()), "checkpoints": 0}
    [listed] = service.json("/v1/experiments")["items"]
    assert listed["usage"] == service.json(path)["usage"]


def test_the_evaluation_of_a_file_can_be_deleted(service: Service) -> None:
    sent = service.accepted(service.upload(npz()))
    path = f"/v1/evaluations/{sent['id']}"
    assert service.client.delete(path).status_code == 409
    service.client.post(f"{path}/cancel")
    assert service.client.delete(path).status_code == 204
    assert service.get(path).status_code == 404
