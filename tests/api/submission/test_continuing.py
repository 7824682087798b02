"""Extending and forking what has ended, and cloning runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import SPEC, Service, problem

SHORT: dict[str, Any] = {
    **SPEC,
    "name": "short",
    "tags": ["demo"],
    "training": {"steps": 100, "batch_size": 8},
}


def trained(service: Service, spec: Any = SHORT) -> dict[str, Any]:
    """An experiment whose runs have all ended and kept their states."""
    made = service.post(spec)
    for _ in made["runs"]:
        service.keep_state()
    return made


def asked(service: Service, verb: str, id: str, body: Any, query: str = "") -> Any:
    kind = "runs" if id.startswith("run_") else "experiments"
    return service.client.post(f"/v1/{kind}/{id}/{verb}{query}", json=body)


def test_an_experiment_is_extended(service_on_each: Service) -> None:
    service = service_on_each
    made = trained(service, {**SHORT, "sweep": {"seed": [0, 1], "objective.beta": [1, 4]}})
    plan = asked(service, "extend", made["id"], {"steps": 300}, "?dry_run=true").json()
    assert (plan["runs"], plan["reused"], plan["steps"]) == (4, 0, 800)
    longer = service.accepted(asked(service, "extend", made["id"], {"steps": 300}))
    assert (longer["name"], longer["tags"]) == ("short, 300 steps", ["demo"])
    assert made["id"] in longer["notes"]
    assert [run["swept"] for run in longer["runs"]] == [run["swept"] for run in made["runs"]]
    for before, after in zip(made["runs"], longer["runs"], strict=True):
        run = service.json(f"/v1/runs/{after['id']}")
        assert run["origin"] == {"run": before["id"], "step": 100}
        assert (run["progress"]["step"], run["progress"]["steps"]) == (100, 300)
        assert run["spec"]["training"]["steps"] == 300
        assert service.json(f"/v1/runs/{before['id']}")["origin"] is None
    for _ in longer["runs"]:
        service.keep_state()
    longest = service.accepted(asked(service, "extend", longer["id"], {"steps": 400}))
    assert longest["name"] == "short, 400 steps"
    # What exists already is joined.
    again = service.accepted(asked(service, "extend", made["id"], {"steps": 400}))
    assert [run["reused"] for run in again["runs"]] == [True] * 4


def test_a_run_is_extended_and_so_is_a_post_of_more_steps(service: Service) -> None:
    run_id = service.run_of(trained(service))
    longer = service.accepted(asked(service, "extend", run_id, {"steps": 200}))
    assert longer["name"] == "beta_vae on digits, 200 steps"
    origin = {"run": run_id, "step": 100}
    assert service.json(f"/v1/runs/{service.run_of(longer)}")["origin"] == origin
    posted = service.post({**SHORT, "training": {"steps": 150, "batch_size": 8}})
    assert service.json(f"/v1/runs/{service.run_of(posted)}")["origin"] == origin


def test_a_fork_goes_on_with_other_numbers(service_on_each: Service) -> None:
    service = service_on_each
    made = trained(service, {**SHORT, "sweep": {"seed": [0, 1]}})
    body = {"steps": 150, "changes": {"objective.beta": 16, "training.batch_size": 16}}
    fork = service.accepted(asked(service, "fork", made["id"], body))
    assert fork["name"] == "short, objective.beta=16, training.batch_size=16, 150 steps"
    for before, after in zip(made["runs"], fork["runs"], strict=True):
        run = service.json(f"/v1/runs/{after['id']}")
        assert run["origin"] == {"run": before["id"], "step": 100}
        assert run["spec"]["objective"]["beta"] == 16
        assert run["spec"]["origin"] == {
            "objective.beta": 4.0,
            "training.batch_size": 8,
            "training.steps": 100,
        }
    again = service.accepted(asked(service, "fork", made["id"], body))
    assert [run["reused"] for run in again["runs"]] == [True, True]
    # It is the same work, posted as a spec of its own.
    posted = service.post(service.json(f"/v1/runs/{fork['runs'][0]['id']}")["spec"])
    assert [run["reused"] for run in posted["runs"]] == [True]


def test_a_fork_may_sweep_what_it_changes(service: Service) -> None:
    run_id = service.run_of(trained(service))
    body = {"steps": 150, "changes": {"sweep.objective.beta": [1, 4, 16], "name": "from one end"}}
    fork = service.accepted(asked(service, "fork", run_id, body))
    assert fork["name"] == "from one end"
    assert [run["swept"] for run in fork["runs"]] == [{"objective.beta": b} for b in (1, 4, 16)]
    runs = [service.json(f"/v1/runs/{run['id']}") for run in fork["runs"]]
    assert {run["origin"]["run"] for run in runs} == {run_id}


def test_a_fork_of_a_fork_and_an_extension_of_one(service: Service) -> None:
    run_id = service.run_of(trained(service))
    fork = asked(service, "fork", run_id, {"steps": 150, "changes": {"objective.beta": 16}})
    fork_id = service.run_of(service.accepted(fork))
    service.keep_state()
    other = {"objective": {"name": "beta_tcvae", "beta": 6}}
    second = asked(service, "fork", fork_id, {"steps": 200, "changes": other})
    run = service.json(f"/v1/runs/{service.run_of(service.accepted(second))}")
    assert run["origin"] == {"run": fork_id, "step": 150}
    assert run["objective"] == "beta_tcvae"
    longer = asked(service, "extend", fork_id, {"steps": 300})
    run = service.json(f"/v1/runs/{service.run_of(service.accepted(longer))}")
    assert run["origin"] == {"run": fork_id, "step": 150}


def test_what_is_not_trained_is_refused(service: Service) -> None:
    made = service.post({**SHORT, "sweep": {"seed": [0, 1]}})
    service.keep_state()
    for verb in ("extend", "fork"):
        told = problem(asked(service, verb, made["id"], {"steps": 300}), 409)["detail"]
        assert made["runs"][1]["id"] in told
        problem(asked(service, verb, "exp_x", {"steps": 300}), 404)
        problem(asked(service, verb, "run_x", {"steps": 300}), 404)
    service.accepted(asked(service, "extend", made["runs"][0]["id"], {"steps": 300}))


def test_what_kept_no_state_is_refused(service: Service) -> None:
    run_id = service.run_of(service.post(SHORT))
    service.finish()
    assert (
        "HEDDLE_KEEP_STATES"
        in problem(asked(service, "extend", run_id, {"steps": 300}), 409)["detail"]
    )
    origin = {"objective.beta": 2, "training.steps": 100}
    spec = {**SHORT, "training": {"steps": 300, "batch_size": 8}, "origin": origin}
    answer = service.client.post("/v1/experiments", json=spec)
    assert "origin" in problem(answer, 409)["detail"]
    assert service.json("/v1/experiments")["items"][0]["name"] == "short"


@pytest.mark.parametrize(
    ("verb", "body", "path"),
    [
        ("extend", {}, "steps"),
        ("extend", [], ""),
        ("extend", {"steps": 100}, "steps"),
        ("extend", {"steps": "many"}, "steps"),
        ("extend", {"steps": 10**9}, "steps"),
        ("extend", {"steps": 300, "changes": {}}, "changes"),
        ("fork", {"steps": 99, "changes": {}}, "steps"),
        ("fork", {"steps": 300, "changes": []}, "changes"),
        ("fork", {"steps": 300, "changes": {"training.steps": 5}}, "changes.training.steps"),
        ("fork", {"steps": 300, "changes": {"seed": 5}}, "changes.seed"),
        ("fork", {"steps": 300, "changes": {"sweep.seed": [5]}}, "changes.sweep.seed"),
        ("fork", {"steps": 300, "changes": {"sweep": {}}}, "changes.sweep"),
        ("fork", {"steps": 300, "changes": {"origin": {}}}, "changes.origin"),
        ("fork", {"steps": 300, "changes": {"objective.beat": 1}}, "objective.beat"),
        ("fork", {"steps": 300, "changes": {"model.latent_dim": 4}}, "origin"),
        ("fork", {"steps": 300, "changes": {"nonsense.x": 4}}, "nonsense"),
        ("fork", {"steps": 300, "changes": {"origin.seed": 4}}, "changes.origin.seed"),
        (
            "fork",
            {"steps": 300, "changes": {"sweep.training": [{"steps": 999}]}},
            "changes.sweep.training",
        ),
        ("fork", {"steps": 300, "changes": {"objective" + ".x" * 64: 4}}, "objective" + ".x" * 64),
        ("clone", {"changes": {"objective" + ".x" * 3000: 4}}, ""),
    ],
)
def test_what_cannot_be_gone_on_with_is_named(
    shared: Service, verb: str, body: Any, path: str
) -> None:
    [made, *_] = shared.json("/v1/experiments")["items"] or [
        trained(shared, {**SHORT, "sweep": {"seed": [0, 1]}})
    ]
    errors = problem(asked(shared, verb, made["id"], body), 422)["errors"]
    assert any(error["path"] == path or not path for error in errors)
    assert len(shared.json("/v1/experiments")["items"]) == 1


def test_an_origin_without_its_data_is_named(service: Service) -> None:
    data = {"name": "dsprites", "path": "nope.npz"}
    spec = {**SHORT, "origin": {"dataset": data, "training.steps": 1}}
    errors = problem(service.client.post("/v1/experiments", json=spec), 422)["errors"]
    assert [error["path"] for error in errors] == ["origin.dataset.path"]


def test_a_schedule_that_is_stretched_cannot_be_extended_but_forked(service: Service) -> None:
    training = {"steps": 100, "batch_size": 8, "schedule": "cosine"}
    made = trained(service, {**SHORT, "training": training})
    refused = problem(asked(service, "extend", made["id"], {"steps": 300}), 422)
    assert "Fork" in refused["detail"]
    fork = service.accepted(asked(service, "fork", made["id"], {"steps": 300}))
    run = service.json(f"/v1/runs/{service.run_of(fork)}")
    assert run["origin"]["step"] == 100


def test_swept_steps_are_gone_on_from_one_by_one(service: Service) -> None:
    made = trained(service, {**SHORT, "sweep": {"training.steps": [100, 200]}})
    for verb in ("extend", "fork"):
        refused = problem(asked(service, verb, made["id"], {"steps": 300}), 422)
        assert refused["errors"][0]["path"] == "steps"
    longer = asked(service, "extend", made["runs"][1]["id"], {"steps": 300})
    run = service.json(f"/v1/runs/{service.run_of(service.accepted(longer))}")
    assert run["origin"] == {"run": made["runs"][1]["id"], "step": 200}


def test_one_key_extends_once_even_when_the_origin_is_gone(service: Service) -> None:
    made = trained(service)
    path = f"/v1/experiments/{made['id']}/extend"
    key = {"Idempotency-Key": "one"}
    first = service.client.post(path, json={"steps": 300}, headers=key)
    assert service.client.delete(f"/v1/experiments/{made['id']}").status_code == 204
    again = service.client.post(path, json={"steps": 300}, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(service.client.post(path, json={"steps": 400}, headers=key), 422)
    problem(service.client.post(path, json={"steps": 400}), 404)


def test_a_run_is_cloned(service: Service) -> None:
    made = service.post({**SHORT, "sweep": {"objective.beta": [1, 4]}})
    clone = asked(service, "clone", made["runs"][0]["id"], {"changes": {"seed": 7}})
    run = service.json(f"/v1/runs/{service.run_of(service.accepted(clone))}")
    assert (run["seed"], run["spec"]["objective"]["beta"]) == (7, 1)
    same = service.accepted(asked(service, "clone", made["runs"][0]["id"], {}))
    assert same["runs"][0]["id"] == made["runs"][0]["id"]
