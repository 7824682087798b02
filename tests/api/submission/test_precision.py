"""`training.precision: auto` over HTTP, by what workers said that they measured."""

from __future__ import annotations

from typing import Any

import pytest

from api.submission.precision import chosen
from store.states import JobKind
from store.workers.presence import Presence, measured_precisions, say_gone, say_present
from tests.api.service import SPEC, Service

AUTO: dict[str, Any] = {**SPEC, "training": {"steps": 100, "precision": "auto"}}


def rates(float32: float, bfloat16: float | None, model: str = "a CPU") -> dict[str, Any]:
    faster = "bfloat16" if (bfloat16 or 0) > 1.2 * float32 else "float32"
    document = {"float32": float32, "bfloat16": bfloat16, "faster": faster}
    return document | {"seconds": 0.5, "device_model": model}


def say(
    service: Service,
    name: str,
    measured: dict[str, Any] | None,
    kind: JobKind = JobKind.TRAIN,
) -> None:
    said = Presence(name, kind, "host", 7, "cpu", "a CPU", 1, 1, measured)
    say_present(service.database, said)


def explicit(precision: str) -> dict[str, Any]:
    return {**AUTO, "training": AUTO["training"] | {"precision": precision}}


@pytest.mark.parametrize(("bfloat16", "precision"), [(200.0, "bfloat16"), (20.0, "float32")])
def test_it_is_the_run_of_the_precision_that_was_measured_faster(
    service_on_each: Service, bfloat16: float, precision: str
) -> None:
    service = service_on_each
    say(service, "a", rates(100.0, bfloat16))
    answer = service.client.post("/v1/experiments", json=AUTO)
    reason = f"auto is {precision}, as was measured on a CPU: 100 images/s in float32"
    assert answer.headers["heddle-precision"].startswith(reason)
    made = service.accepted(answer)
    [run] = made["runs"]
    assert service.json(f"/v1/runs/{run['id']}")["spec"]["training"]["precision"] == precision
    # The same work is found by whoever says it in full.
    same = service.client.post("/v1/experiments", json=explicit(precision))
    assert [one["id"] for one in service.accepted(same)["runs"]] == [run["id"]]
    assert "heddle-precision" not in same.headers
    [worker] = service.json("/v1/workers")["items"]
    assert worker["precisions"] == rates(100.0, bfloat16)


def test_bfloat16_must_be_faster_on_every_worker_that_trains(service: Service) -> None:
    def planned() -> str:
        answer = service.client.post("/v1/experiments?dry_run=true", json=AUTO).json()
        [told] = [one for one in answer["warnings"] if one.startswith("training.precision: ")]
        return str(told)

    assert "auto is float32: no worker that trains has measured" in planned()
    say(service, "a", None)
    say(service, "scores", rates(100, 500), JobKind.EVALUATE)
    assert "no worker that trains has measured" in planned()
    say(service, "a", rates(100, 300, "a fast CPU"))
    assert "auto is bfloat16" in planned() and "300 in bfloat16" in planned()
    say(service, "b", rates(100, None, "an old CPU"))
    assert "auto is float32" in planned() and "an old CPU" in planned()
    assert "no bfloat16" in planned() and "a fast CPU" not in planned()
    say_gone(service.database, "b")
    assert "auto is bfloat16" in planned()
    assert service.json("/v1/experiments")["items"] == []


def test_a_sweep_with_auto_has_no_run_twice(service: Service) -> None:
    say(service, "a", rates(100, 300))
    sweep = {"training.precision": ["auto", "float32", "bfloat16"], "seed": [0, 1]}
    made = service.post({**SPEC, "sweep": sweep})
    swept = [run["swept"]["training.precision"] for run in made["runs"]]
    assert swept == ["bfloat16", "bfloat16", "float32", "float32"]


def test_what_was_decided_stays_when_an_experiment_is_extended_or_repeated(
    service: Service,
) -> None:
    say(service, "a", rates(100, 300))
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    made = service.accepted(service.client.post("/v1/experiments", json=AUTO, headers=headers))
    service.keep_state()
    say(service, "a", rates(100, 10))
    again = service.client.post("/v1/experiments", json=AUTO, headers=headers)
    assert service.accepted(again)["id"] == made["id"]
    longer = service.client.post(f"/v1/experiments/{made['id']}/extend", json={"steps": 300})
    [run] = service.accepted(longer)["runs"]
    assert service.json(f"/v1/runs/{run['id']}")["spec"]["training"]["precision"] == "bfloat16"
    cloned = {"changes": {"training.precision": "auto"}}
    other = service.client.post(f"/v1/experiments/{made['id']}/clone", json=cloned)
    [run] = service.accepted(other)["runs"]
    assert service.json(f"/v1/runs/{run['id']}")["spec"]["training"]["precision"] == "float32"


def test_the_reason_names_each_measurement_once() -> None:
    same = rates(100, 300)
    assert chosen([same, same])[1].count("a CPU") == 1


def test_only_present_workers_count(service: Service) -> None:
    say(service, "a", rates(100, 300))
    assert measured_precisions(service.database) == [rates(100, 300)]
    say_gone(service.database, "a")
    assert measured_precisions(service.database) == []
