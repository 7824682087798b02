from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from api.main import create_app
from store.database.connection import migrate
from store.database.tables import Worker
from store.jobs.claim import claim
from store.jobs.finish import release
from store.jobs.heartbeat import beat
from store.settings import Settings
from store.states import JobKind
from store.workers.presence import Presence, say_gone, say_present
from tests.api.service import SPEC, Service, problem, serving


def post(service: Service, owner: str, query: str = "", **spec: object) -> str:
    """The id of the only run of what an owner posts."""
    answer = service.client.post(
        f"/v1/experiments{query}", json=SPEC | spec, headers={"Heddle-User": owner}
    )
    assert answer.status_code == 202, answer.text
    return service.run_of(answer.json())


def register(service: Service, name: str) -> None:
    with service.database.write() as session:
        values = {"host": "h", "pid": 1, "device": "cpu", "device_model": "cpu"}
        session.execute(
            insert(Worker).values(
                name=name, kind=JobKind.TRAIN, started_at=0, seen_at=1e12, **values
            )
        )


def test_the_queue_tells_who_is_next_and_why(service_on_each: Service) -> None:
    service = service_on_each
    register(service, "a worker")
    first = post(service, "ada", seed=1)
    service.take()
    waits = post(service, "ada", seed=2)
    urgent = post(service, "cleo", "?priority=2", seed=3)
    newcomer = post(service, "ben", seed=4)
    document = service.json("/v1/queue")
    assert [item["run"] for item in document["items"]] == [urgent, newcomer, waits]
    assert [item["position"] for item in document["items"]] == [1, 2, 3]
    assert {item["owner"] for item in document["items"]} == {"ada", "ben", "cleo"}
    assert document["workers"] == {"train": 1, "evaluate": 0}
    running = {one["owner"]: one["running"] for one in document["owners"]}
    assert running == {"ada": 1, "ben": 0, "cleo": 0}
    waiting = service.json(f"/v1/runs/{waits}")["waiting"]
    assert waiting["position"] == 3
    assert waiting["reason"] == (
        "waits for a free training worker; 2 before it in the queue; 1 of them of a higher"
        " priority; ben had less of the workers lately"
    )
    assert service.json(f"/v1/runs/{first}")["waiting"] is None
    [mine] = service.json("/v1/queue?owner=ben")["items"]
    assert mine["run"] == newcomer


def test_the_queue_comes_in_pages(service: Service) -> None:
    service.post({**SPEC, "sweep": {"seed": [0, 1, 2]}})
    page = service.json("/v1/queue?limit=2")
    assert len(page["items"]) == 2
    rest = service.json(f"/v1/queue?limit=2&cursor={page['next_cursor']}")
    assert len(rest["items"]) == 1 and rest["next_cursor"] is None
    problem(service.get("/v1/queue?cursor=x"), 422)


def test_starts_are_told_once_such_runs_were_measured(service: Service) -> None:
    register(service, "a worker")
    post(service, "ada", seed=1)
    service.finish(measured={"from_step": 0, "to_step": 1000, "step_seconds": 1.0})
    post(service, "ada", seed=2)
    service.take()
    next_but_one = [post(service, "ada", seed=seed) for seed in (3, 4)][1]
    waiting = service.json(f"/v1/runs/{next_but_one}")["waiting"]
    # Two runs of 300,000 steps of a millisecond before it.
    assert waiting["starts_in_seconds"] == pytest.approx(600, rel=0.02)


def test_owners_are_told_apart_and_named_well(service: Service) -> None:
    post(service, "ada")
    [found] = service.json("/v1/experiments?owner=ada")["items"]
    assert found["owner"] == "ada"
    assert service.post({**SPEC, "seed": 9})["owner"] == "local"
    for wrong in ("", "a b", "x" * 65, "ä"):
        headers = {"Heddle-User": wrong.encode()}
        answer = service.client.post("/v1/experiments", json=SPEC, headers=headers)
        [error] = problem(answer, 422)["errors"]
        assert error["path"] == "Heddle-User"
    for query in ("?priority=11", "?priority=x"):
        assert service.client.post(f"/v1/experiments{query}", json=SPEC).status_code == 422


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, most_queued=2, most_running=1) as service:
        migrate(Settings(home=tmp_path).database_url)
        yield service


def test_an_owner_may_have_so_many_waiting_and_under_way(limited: Service) -> None:
    post(limited, "ada", seed=1)
    limited.take()
    waits = [post(limited, "ada", seed=seed) for seed in (2, 3)]
    headers = {"Heddle-User": "ada"}
    for query in ("", "?dry_run=true"):
        answer = limited.client.post(
            f"/v1/experiments{query}", json={**SPEC, "seed": 4}, headers=headers
        )
        assert "HEDDLE_MOST_QUEUED" in problem(answer, 429)["detail"]
        assert int(answer.headers["retry-after"]) > 0
    # What is there already asks for nothing more.
    assert limited.client.post(
        "/v1/experiments", json={**SPEC, "seed": 3}, headers=headers
    ).is_success
    reason = limited.json(f"/v1/runs/{waits[1]}")["waiting"]["reason"]
    assert "ada has as many runs under way as one may have" in reason
    other = post(limited, "ben", seed=5)
    assert limited.take().run_id == other


def test_a_service_for_others_believes_no_header(tmp_path: Path) -> None:
    known = Settings(home=tmp_path)
    migrate(known.database_url)
    with TestClient(create_app(known, host="0.0.0.0")) as client:
        answer = client.post("/v1/experiments", json=SPEC, headers={"Heddle-User": "ada"})
    assert answer.json()["owner"] == "local"


def test_workers_tell_what_they_do(service_on_each: Service) -> None:
    service = service_on_each
    say_present(
        service.database,
        Presence("a worker", JobKind.TRAIN, "host", 7, "cuda:0", "NVIDIA H100", 80 << 30, 79 << 30),
    )
    tell = {"memory_bytes": 80 << 30, "memory_free_bytes": 79 << 30, "device": "cuda:0"}
    [idle] = service.json("/v1/workers")["items"]
    assert idle["state"] == "idle" and idle["jobs"] == [] and idle.items() >= tell.items()
    run_id = service.run_of(service.post())
    service.take()
    [working] = service.json("/v1/workers")["items"]
    assert working["state"] == "working"
    assert [job["run"] for job in working["jobs"]] == [run_id]
    say_gone(service.database, "a worker")
    assert service.json("/v1/workers")["items"] == []


def test_the_record_tells_each_attempt(service_on_each: Service) -> None:
    service = service_on_each
    run_id = service.run_of(service.post())
    assert service.json(f"/v1/runs/{run_id}")["record"] is None
    release(service.database, service.take(), cause={"type": "StorageAway", "message": "gone"})
    service.finish(
        measured={"from_step": 1, "to_step": 9, "step_seconds": 1.0, "energy_joules": 50.0}
    )
    record = service.json(f"/v1/runs/{run_id}")["record"]
    assert [(one["kind"], one["end"]) for one in record["attempts"]] == [
        ("train", "released"),
        ("train", "done"),
        ("evaluate", "done"),
    ]
    assert record["attempts"][0]["cause"]["type"] == "StorageAway"
    assert (record["attempts"][1]["from_step"], record["attempts"][1]["to_step"]) == (1, 9)
    # The first made no step.
    assert record["energy_joules"] == 50.0 and record["device"] == "cpu"
    assert record["wall_seconds"] >= record["device_seconds"] >= 0


def test_energy_and_seconds_are_shared_and_not_guessed(service: Service) -> None:
    service.post({**SPEC, "sweep": {"seed": [0, 1]}})
    measured = {"from_step": 1, "to_step": 9, "step_seconds": 1.0}
    pair = claim(service.database, JobKind.TRAIN, worker="w", lease_seconds=60, width=2)
    for taken, joules in zip(pair, (50.0, None), strict=True):
        progress = {"measured": measured | {"energy_joules": joules}}
        beat(service.database, taken, lease_seconds=60, progress=progress)
        release(service.database, taken)
    records = [service.json(f"/v1/runs/{taken.run_id}")["record"] for taken in pair]
    assert [record["energy_joules"] for record in records] == [25.0, None]
    for record in records:
        [attempt] = record["attempts"]
        assert attempt["together"] == 2
        assert record["wall_seconds"] == attempt["seconds"]
        assert record["device_seconds"] == pytest.approx(attempt["seconds"] / 2, abs=1e-3)


def test_runs_are_found_by_what_was_swept(service_on_each: Service) -> None:
    service = service_on_each
    sweep = {"objective.beta": [1, 4.0], "seed": [0, 1]}
    made = service.post({**SPEC, "name": "Beta sweep", "notes": "For the paper", "sweep": sweep})
    service.post({**SPEC, "seed": 5})
    runs = {
        (run["swept"]["objective.beta"], run["swept"]["seed"]): run["id"] for run in made["runs"]
    }

    def found(query: str) -> set[str]:
        return {item["id"] for item in service.json(f"/v1/runs?{query}")["items"]}

    assert found("swept=objective.beta=4") == {runs[4.0, 0], runs[4.0, 1]}
    assert found("swept=objective.beta=4.0,seed=1") == {runs[4.0, 1]}
    assert found("swept=objective.beta=7") == found("swept=objective.name=vae") == set()
    assert found("name=beta%20SW") == set(runs.values())
    for query in ("swept=seed=1", "notes=PAPER"):
        assert [one["id"] for one in service.json(f"/v1/experiments?{query}")["items"]] == [
            made["id"]
        ]
    assert service.json("/v1/experiments?notes=thesis")["items"] == []
    for wrong in ("swept=beta", "swept=a'b=1", "swept==1", "swept="):
        [error] = problem(service.get(f"/v1/runs?{wrong}"), 422)["errors"]
        assert error["path"] == "swept"
