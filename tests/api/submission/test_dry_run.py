from __future__ import annotations

from typing import Any

import pytest

from store.states import RunState
from tests.api.service import SPEC, Service, problem


def planned(service: Service, spec: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = service.client.post("/v1/experiments?dry_run=true", json=spec, headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def count(service: Service) -> int:
    return len(service.json("/v1/experiments")["items"])


def test_a_plan_tells_what_would_be_done_and_does_nothing(service_on_each: Service) -> None:
    spec = {
        **SPEC,
        "model": {"name": "mlp", "hidden": [5], "latent_dim": 3},
        "training": {"steps": 1000},
        "sweep": {"objective.beta": [1, 2], "seed": [0, 1]},
    }
    pixels = 64 * 64
    encoder = pixels * 5 + 5 + 5 * 6 + 6
    decoder = 3 * 5 + 5 + 5 * pixels + pixels
    assert planned(service_on_each, spec) == {
        "runs": 4,
        "reused": 0,
        "parameters": encoder + decoder,
        "steps": 4000,
        "seconds": None,
        # Weights, gradients, and the two moments of Adam.
        "memory_bytes": 4 * 4 * (encoder + decoder),
        "position": 1,
        "starts_in_seconds": None,
        "warnings": [
            "Settings are compared by 2 seeds, and seeds differ as much as settings:"
            " 5 are the least for a median."
        ],
    }
    assert count(service_on_each) == 0


def test_work_that_is_there_is_reused_and_what_waits_comes_before(
    service_on_each: Service,
) -> None:
    service_on_each.post({**SPEC, "sweep": {"seed": [0, 1]}})
    service_on_each.finish()
    more = planned(service_on_each, {**SPEC, "sweep": {"seed": [0, 1, 2]}})
    assert (more["runs"], more["reused"], more["steps"]) == (3, 2, 300_000)
    assert more["position"] == 2
    same = planned(service_on_each, SPEC)
    assert (same["reused"], same["steps"], same["position"]) == (1, 0, None)
    assert "force=true" in same["warnings"][0]
    assert count(service_on_each) == 1


def test_time_is_told_by_what_others_of_the_kind_took(service_on_each: Service) -> None:
    service_on_each.post({**SPEC, "training": {"steps": 2000}})
    service_on_each.finish(measured={"from_step": 1, "to_step": 2000, "step_seconds": 3.998})
    # Numbers make no other kind, nor does how many steps there are; other layers do.
    sweep = {**SPEC, "sweep": {"seed": [7, 8, 9], "objective.beta": [2.0, 3.0]}}
    assert planned(service_on_each, sweep)["seconds"] == pytest.approx(6 * 600, rel=0.01)
    other = {**SPEC, "model": {"name": "mlp"}}
    assert planned(service_on_each, other)["seconds"] is None


def test_a_failed_run_would_be_taken_up_again(service: Service) -> None:
    run_id = service.run_of(service.post(SPEC))
    service.fail()
    assert service.json(f"/v1/runs/{run_id}")["state"] == RunState.FAILED
    found = planned(service, SPEC)
    assert (found["reused"], found["steps"], found["position"]) == (1, 300_000, 1)
    [warning] = found["warnings"]
    assert "taken up again" in warning
    # It is older than what is added.
    both = planned(service, {**SPEC, "sweep": {"seed": [0, 1]}})
    assert (both["steps"], both["position"]) == (600_000, 2)


def test_a_plan_is_refused_exactly_as_the_real_request(service: Service) -> None:
    for wrong in ({**SPEC, "objective": "beta_vea"}, {**SPEC, "sweep": {"seed": []}}, {}):
        answers = [
            service.client.post(f"/v1/experiments{query}", json=wrong)
            for query in ("?dry_run=true", "")
        ]
        assert problem(answers[0], 422) == problem(answers[1], 422)
    headers = {"Idempotency-Key": "a"}
    made = service.client.post("/v1/experiments", json=SPEC, headers=headers).json()["id"]
    assert made in planned(service, SPEC, **headers)["warnings"][0]
    other = {**SPEC, "seed": 3}
    refused = service.client.post("/v1/experiments?dry_run=true", json=other, headers=headers)
    problem(refused, 422)


ANNEALED = {**SPEC, "objective": {"name": "annealed_vae", "capacity": 25, "anneal_steps": 4000}}


def too_short(service: Service, spec: dict[str, Any]) -> list[str]:
    return [told for told in planned(service, spec)["warnings"] if "Too few steps" in told]


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"steps": 1000}, "objective.anneal_steps is 4,000 of 1,000 steps: the capacity only"),
        ({"steps": 4000}, None),
        (
            {"steps": 5000, "schedule": {"name": "warm_up", "over": 5001}},
            "training.schedule.over is 5,001",
        ),
        ({"steps": 5000, "schedule": {"name": "warm_up", "over": 5000}}, None),
        (
            {"steps": 5000, "coefficients": {"gamma": {"name": "steps", "at": [10, 5000]}}},
            "training.coefficients.gamma.at is 10, 5,000",
        ),
        ({"steps": 5000, "coefficients": {"gamma": {"name": "cyclical", "cycles": 4}}}, None),
    ],
)
def test_a_plan_warns_of_schedules_longer_than_the_run(
    service: Service, training: dict[str, Any], told: str | None
) -> None:
    found = too_short(service, {**ANNEALED, "training": training})
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_runs_of_a_sweep_that_are_too_short_are_counted_in_one_warning(service: Service) -> None:
    [told] = too_short(service, {**ANNEALED, "sweep": {"training.steps": [1000, 2000, 4000]}})
    assert "in 2 of 3 runs" in told and "6.24 of 25 nats" in told
    [told] = too_short(service, {**ANNEALED, "sweep": {"training.steps": [1000, 2000]}})
    assert "runs" not in told
