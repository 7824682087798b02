"""A trained run, scored once more."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from store import queries
from store.jobs.finish import fail, finish_evaluation, finish_training
from store.states import JobKind
from tests.api.service import RECORD, SPEC, Service, problem, scores

AGAIN = {"metrics": [{"name": "mig", "bins": 7}], "rows": 200, "test_rows": 50, "seed": 4}


def ask(service: Service, run_id: str, body: Any) -> httpx.Response:
    return service.client.post(f"/v1/runs/{run_id}/evaluations", json=body)


def test_a_run_is_scored_again_and_keeps_what_it_had(service_on_each: Service) -> None:
    service = service_on_each
    experiment = service.post()
    run_id = service.run_of(experiment)
    service.finish()
    [old] = service.json(f"/v1/runs/{run_id}/scores")["items"]

    answer = ask(service, run_id, AGAIN)
    document = service.accepted(answer)
    assert answer.headers["location"] == document["links"]["self"]
    assert (document["run"], document["state"], document["reused"]) == (run_id, "queued", False)
    asked = document["spec"]["evaluation"]
    assert (asked["metrics"][0]["bins"], asked["rows"], asked["codes"]) == (7, 200, ["mean"])
    # What the run's own spec says of pictures holds where nothing else is asked for.
    assert document["spec"]["traversal"] == service.json(f"/v1/runs/{run_id}")["spec"]["traversal"]
    assert service.json(f"/v1/runs/{run_id}")["state"] == "evaluating"
    assert service.json(f"/v1/experiments/{experiment['id']}")["state"] == "succeeded"

    new = [score | {"seed": 4, "rows": 200, "params": {"bins": 7}} for score in scores()]
    finish_evaluation(service.database, service.take(JobKind.EVALUATE), scores=new)
    assert service.json(f"/v1/runs/{run_id}")["state"] == "succeeded"
    both = service.json(f"/v1/runs/{run_id}/scores")["items"]
    assert both[0] == old and len(both) == 2
    assert [(one["seed"], one["rows"]) for one in both] == [(old["seed"], old["rows"]), (4, 200)]
    assert service.json(f"{document['links']['self']}/scores")["items"] == both[1:]
    listed = service.json(f"/v1/runs/{run_id}/evaluations")["items"]
    assert [one["state"] for one in listed] == ["succeeded", "succeeded"]
    assert listed[1]["id"] == document["id"]


def test_what_the_run_was_scored_by_is_not_computed_again(service: Service) -> None:
    run_id = service.run_of(service.post())
    service.finish()
    [own] = service.json(f"/v1/runs/{run_id}/evaluations")["items"]
    same = service.accepted(ask(service, run_id, {}))
    assert (same["id"], same["reused"], same["state"]) == (own["id"], True, "succeeded")
    assert same["scores"] == service.json(f"/v1/runs/{run_id}/scores")["items"]
    first, second = (service.accepted(ask(service, run_id, AGAIN)) for _ in range(2))
    assert (second["id"], first["reused"], second["reused"]) == (first["id"], False, True)
    pictures = service.accepted(ask(service, run_id, {"traversal": {"frames": 5}}))
    assert pictures["reused"] is False and pictures["spec"]["traversal"]["frames"] == 5
    plain = service.accepted(ask(service, run_id, AGAIN | {"uncertainty": False}))
    assert plain["reused"] is False and plain["spec"]["evaluation"]["uncertainty"] is False


def test_a_run_that_is_not_trained_is_refused_with_its_state(service: Service) -> None:
    run_id = service.run_of(service.post())
    assert "is queued and not trained" in problem(ask(service, run_id, AGAIN), 409)["detail"]
    taken = service.take()
    assert "is training and not trained" in problem(ask(service, run_id, AGAIN), 409)["detail"]
    finish_training(service.database, taken, record=RECORD)
    assert service.json(f"/v1/runs/{run_id}")["state"] == "evaluating"
    service.accepted(ask(service, run_id, AGAIN))


def test_a_run_whose_training_failed_is_refused_and_one_whose_evaluation_failed_is_not(
    service: Service,
) -> None:
    runs = service.post({**SPEC, "sweep": {"seed": [0, 1]}})["runs"]
    untrained, unscored = (run["id"] for run in runs)
    service.fail()
    assert "is failed and not trained" in problem(ask(service, untrained, AGAIN), 409)["detail"]
    finish_training(service.database, service.take(), record=RECORD)
    fail(service.database, service.take(JobKind.EVALUATE), {"type": "E", "message": "no"})
    assert service.json(f"/v1/runs/{unscored}")["state"] == "failed"
    document = service.accepted(ask(service, unscored, AGAIN))
    assert service.json(f"/v1/runs/{unscored}")["state"] == "evaluating"
    finish_evaluation(service.database, service.take(JobKind.EVALUATE), scores=scores())
    assert service.json(f"/v1/runs/{unscored}")["state"] == "succeeded"
    assert service.json(document["links"]["self"])["state"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "path", "nearest"),
    [
        ({"metrics": ["migg"]}, "metrics[0].name", "mig"),
        ({"rows": 1}, "rows", None),
        ({"metric": ["mig"]}, "metric", "metrics"),
        ({"codes": ["median"]}, "codes[0]", "mean"),
        ({"traversal": {"frames": 1}}, "traversal.frames", None),
        ({"evaluation": {}}, "evaluation", None),
        ([], "", None),
    ],
)
def test_a_bad_spec_is_refused_at_the_path_that_was_written(
    service: Service, body: Any, path: str, nearest: str | None
) -> None:
    run_id = service.run_of(service.post())
    service.finish()
    [error] = problem(ask(service, run_id, body), 422)["errors"]
    assert (error["path"], error["nearest"]) == (path, nearest)
    assert len(queries.evaluations(service.database, run_id)) == 1


def test_what_is_no_json_or_no_run_is_refused(service: Service) -> None:
    problem(ask(service, "x", {}), 404)
    problem(service.get("/v1/runs/x/evaluations"), 404)
    run_id = service.run_of(service.post())
    path = f"/v1/runs/{run_id}/evaluations"
    problem(service.client.post(path, content=b""), 400)
    problem(service.client.post(path, content=b"{}", headers={"content-type": "a/b"}), 415)


def test_an_evaluation_of_a_run_in_training_is_not_cancelled_by_itself(service: Service) -> None:
    run_id = service.run_of(service.post())
    [own] = service.json(f"/v1/runs/{run_id}/evaluations")["items"]
    answer = service.client.post(own["links"]["cancel"])
    assert "the run as a whole" in problem(answer, 409)["detail"]
