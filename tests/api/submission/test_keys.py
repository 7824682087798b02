from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.submission.planning import plan
from heddle.client.client import Client
from ml.components.spec_errors import Fault, InvalidSpec
from tests.api.service import SPEC, Service, problem

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
SWEEP = {**SPEC, "sweep": {"objective.beta": [1, 4]}}


def send(
    service: Service, spec: Any = SWEEP, key: str | bytes = KEY, query: str = ""
) -> httpx.Response:
    headers: dict[str, Any] = {"Idempotency-Key": key}
    return service.client.post(f"/v1/experiments{query}", json=spec, headers=headers)


def experiments(service: Service) -> list[str]:
    return [item["id"] for item in service.json("/v1/experiments")["items"]]


def test_a_request_sent_twice_makes_one_experiment(service_on_each: Service) -> None:
    first, again = send(service_on_each), send(service_on_each)
    assert again.status_code == first.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert experiments(service_on_each) == [first.json()["id"]]


def test_a_repeated_request_is_answered_with_the_experiment_as_it_is_now(service: Service) -> None:
    assert send(service, SPEC).json()["state"] == "queued"
    service.finish()
    assert send(service, SPEC).json()["state"] == "succeeded"


def test_a_repeated_request_is_the_same_however_its_json_is_written(service: Service) -> None:
    first = send(service, {"dataset": "digits", "objective": {"name": "vae"}})
    text = b'{ "objective" : {"name": "v\\u0061e"},\n "dataset": "digits" }'
    again = service.send(text, **{"Idempotency-Key": KEY})
    assert again.json()["id"] == first.json()["id"]


def test_a_repeated_request_is_answered_also_when_its_spec_could_not_be_planned_any_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise InvalidSpec([Fault("dataset.path", "a.npz", "a file")])

    first = send(service)
    monkeypatch.setattr("api.routes.experiments.plan", gone)
    assert send(service).json() == first.json()
    problem(send(service, key="another"), 422)


@pytest.mark.parametrize(
    ("spec", "query"),
    [(SPEC, ""), ({**SWEEP, "notes": "why"}, ""), (SWEEP, "?force=true"), ({"objective": 1}, "")],
)
def test_another_request_under_the_key_is_refused(
    service_on_each: Service, spec: Any, query: str
) -> None:
    id = send(service_on_each).json()["id"]
    told = problem(send(service_on_each, spec, query=query), 422)
    [error] = told["errors"]
    assert (error["path"], error["got"]) == ("Idempotency-Key", KEY)
    assert id in told["detail"]
    assert experiments(service_on_each) == [id]


def test_a_forced_request_sent_twice_trains_once(service_on_each: Service) -> None:
    first = service_on_each.run_of(service_on_each.post(SPEC))
    forced = [send(service_on_each, SPEC, query="?force=true").json() for _ in range(2)]
    assert forced[0] == forced[1]
    assert service_on_each.run_of(forced[0]) != first
    assert len(service_on_each.json("/v1/runs")["items"]) == 2


def test_a_key_whose_request_was_refused_takes_the_corrected_one(service_on_each: Service) -> None:
    problem(send(service_on_each, {**SWEEP, "seed": "one"}), 422)
    corrected = send(service_on_each, {**SWEEP, "seed": 1})
    assert corrected.status_code == 202 and "idempotent-replayed" not in corrected.headers


@pytest.mark.parametrize("key", ["~", " a key with spaces", '"quoted"', "k" * 255])
def test_a_key_is_any_printable_text(service: Service, key: str) -> None:
    assert send(service, key=key).json()["id"] == send(service, key=key).json()["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "clé".encode(), "ключ".encode(), "a\tb"])
def test_a_key_that_is_none_is_refused(service: Service, key: str | bytes) -> None:
    [error] = problem(send(service, key=key), 422)["errors"]
    assert error["path"] == "Idempotency-Key"
    assert experiments(service) == []


@pytest.mark.parametrize("query", ["", "?force=true"])
def test_of_simultaneous_requests_with_one_key_all_get_the_experiment_of_one(
    service_on_each: Service, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All have looked for the key, and found nothing, before any is written.
    together = threading.Barrier(4)

    def plan_together(database: Any, spec: Any) -> Any:
        together.wait(20)
        return plan(database, spec)

    monkeypatch.setattr("api.routes.experiments.plan", plan_together)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(service_on_each, query=query), range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({json.dumps(answer.json()) for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 3
    assert len(experiments(service_on_each)) == 1
    assert len(service_on_each.json("/v1/runs")["items"]) == 2


class LosingAnswers(httpx.BaseTransport):
    """The way to a service, on which the first answers are lost."""

    def __init__(self, service: Service, lost: int) -> None:
        self._way, self._lost = service.client._transport, lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._way.handle_request(request)
        if self._lost:
            self._lost -= 1
            raise httpx.ReadError("connection reset")
        return answer


def test_a_client_whose_answers_were_lost_has_made_one_experiment(
    service_on_each: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heddle.client.connection.POLL_SECONDS", 0.01)
    with Client("http://127.0.0.1", transport=LosingAnswers(service_on_each, lost=2)) as client:
        first, second = client.submit(SWEEP), client.submit(SWEEP)
    assert experiments(service_on_each) == [second.id, first.id]
