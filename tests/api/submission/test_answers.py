"""The answer to a POST is made of what was written. It has the letters that a GET gives."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.answers.work import whole_experiment
from api.documents.experiments import Experiment, experiment_document
from api.http.answer import json_answer
from store import queries
from store.experiments.written import Written, written
from tests.api.service import SPEC, Service

AWKWARD: dict[str, Any] = {
    "name": 'näme " \\ \u2028 \U0001f600 </script>',
    "tags": ["b", "a", "é"],
    "notes": "one\ntwo\tthree",
    "dataset": "digits",
    "traversal": {"frames": 5, "span": "range"},
    "objective": {"name": "beta_vae", "beta": 1e2},
    "training": {"steps": 1000, "gradient_clip": 1e-5},
    "evaluation": {"metrics": [], "codes": ["mean"]},
    # Names of many lengths, which PostgreSQL sorts, and numbers that it writes in its own way.
    "sweep": {
        "training.optimizer.learning_rate": [1e-05, 0.00010],
        "objective": [{"name": "vae"}, {"beta": 1.50, "name": "beta_vae"}],
        "seed": [0, 9007199254740993],
    },
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Written]:
    """The answers that were made of what was written."""
    found: list[Written] = []

    def noted(*given: Any) -> Written:
        found.append(written(*given))
        return found[-1]

    monkeypatch.setattr("store.experiments.submit.written", noted)
    return found


def post(service: Service, spec: Any = SPEC, query: str = "", **headers: str) -> httpx.Response:
    answer = service.client.post(f"/v1/experiments{query}", json=spec, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


def same_as_get(service: Service, answer: httpx.Response) -> bool:
    got = service.get(answer.headers["location"])
    return (answer.content, answer.headers["content-type"]) == (
        got.content,
        got.headers["content-type"],
    )


@pytest.mark.parametrize("spec", [SPEC, AWKWARD], ids=["least", "awkward"])
def test_new_runs(service_on_each: Service, made: list[Written], spec: Any) -> None:
    assert same_as_get(service_on_each, post(service_on_each, spec, "?priority=-3"))
    # Now all of its runs are there and wait, and a forced one has new ones.
    assert same_as_get(service_on_each, post(service_on_each, spec, "?priority=-4"))
    assert same_as_get(service_on_each, post(service_on_each, spec, "?force=true"))
    assert len(made) == 3


def test_some_runs_wait_already_and_one_has_two_places(
    service_on_each: Service, made: list[Written]
) -> None:
    spec = {**SPEC, "sweep": {"seed": [3, 1]}}
    post(service_on_each, {**spec, "evaluation": {"metrics": ["mig"]}})
    more = {**SPEC, "sweep": {"seed": [1, 2, 3], "training.checkpoint_minutes": [1, 2]}}
    answer = post(service_on_each, more)
    assert [run["reused"] for run in answer.json()["runs"]] == [True, True, False, True, True, True]
    assert same_as_get(service_on_each, answer)
    assert len(made) == 2


def test_a_run_that_waits_with_a_lower_priority(
    service_on_each: Service, made: list[Written]
) -> None:
    run = service_on_each.run_of(post(service_on_each).json())
    assert same_as_get(service_on_each, post(service_on_each, query="?priority=5"))
    assert len(made) == 1
    assert queries.run(service_on_each.database, run).state == "queued"
    assert service_on_each.take().run_id == run


def test_a_run_under_way_or_at_its_end(service_on_each: Service, made: list[Written]) -> None:
    service = service_on_each
    run = service.run_of(post(service).json())
    for change in (service.take, lambda: service.client.post(f"/v1/runs/{run}/cancel")):
        change()
        answer = post(service)
        assert same_as_get(service, answer)
        assert answer.json()["runs"][0]["reused"]
    other = {**SPEC, "seed": 1}
    post(service, other)
    service.finish()
    answer = post(service, {**other, "evaluation": {"metrics": ["mig"]}})
    assert same_as_get(service, answer)
    assert answer.json()["state"] == "running"
    assert len(made) == 2


def test_a_run_that_begins_at_the_end_of_a_shorter_one(
    service_on_each: Service, made: list[Written]
) -> None:
    post(service_on_each, {**SPEC, "training": {"steps": 100}})
    service_on_each.keep_state()
    answer = post(service_on_each, {**SPEC, "training": {"steps": 200}})
    assert same_as_get(service_on_each, answer)
    assert answer.json()["usage"]["checkpoints"] > 0
    assert len(made) == 1


def test_a_request_sent_again(service_on_each: Service) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = post(service_on_each, AWKWARD, **key), post(service_on_each, AWKWARD, **key)
    assert again.headers["idempotent-replayed"] == "true"
    assert first.content == again.content


def test_an_experiment_is_read_at_once_as_by_three_queries(service_on_each: Service) -> None:
    """The plain way stands in the test."""
    service = service_on_each
    ids = [post(service, AWKWARD).json()["id"], post(service).json()["id"]]
    service.finish()
    service.keep_state()
    for id in ids:
        plain = experiment_document(
            queries.experiment(service.database, id),
            queries.experiment_runs(service.database, id),
            None,
            queries.usage(service.database, [id])[id],
        )
        here = service.client.app.state.context  # type: ignore[attr-defined]
        assert whole_experiment(here, id) == plain
        assert service.get(f"/v1/experiments/{id}").text == plain.model_dump_json()


def test_an_answer_has_the_letters_that_fastapi_would_write(shared: Service) -> None:
    id = post(shared, AWKWARD).json()["id"]
    found = whole_experiment(shared.client.app.state.context, id)  # type: ignore[attr-defined]
    app = FastAPI()

    @app.get("/whole")
    def show() -> Experiment:
        return found

    answer = TestClient(app).get("/whole")
    assert json_answer(found).body == answer.content
    assert json_answer(found).headers["content-type"] == answer.headers["content-type"]
