"""Advice on a run's scores, by what the service knows of its spec, its curves and its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from store import queries
from store.jobs.finish import finish_training
from store.jobs.heartbeat import beat
from tests.api.service import RECORD, SPEC, Service


def scored(service: Service, kl: Mapping[int, float], **spec: Any) -> str:
    """The path of a run that ended with these KLs."""
    path = f"/v1/runs/{service.run_of(service.post({**SPEC, **spec}))}"
    taken = service.take()
    points = {f"kl_per_latent/{latent}": [(1, value)] for latent, value in kl.items()}
    beat(service.database, taken, lease_seconds=60, progress=None, points=points)
    finish_training(service.database, taken, record=RECORD)
    service.evaluate()
    return path


def told(service: Service, path: str) -> str:
    found = service.json(f"{path}/scores")["advice"]
    return "\n".join(f"{one['reason']}. {one['suggestion']}" for one in found)


@pytest.mark.parametrize(
    ("objective", "suggested"),
    [
        ("vae", "beta_vae does with a beta below 1"),
        ({"name": "beta_vae", "beta": 8}, "lower objective.beta (8)"),
        ({"name": "annealed_vae", "anneal_steps": 1000}, "raise objective.capacity (25)"),
    ],
)
def test_a_collapsed_run_is_told_what_its_objective_has_to_be_turned(
    service: Service, objective: Any, suggested: str
) -> None:
    path = scored(service, {0: 0.0, 1: 0.001}, objective=objective)
    assert "all 2 latents have collapsed" in told(service, path)
    assert suggested in told(service, path)


@pytest.mark.parametrize(("steps", "grows"), [(3999, True), (4000, False)])
def test_a_capacity_is_still_growing_only_where_the_run_was_too_short_for_it(
    service: Service, steps: int, grows: bool
) -> None:
    objective = {"name": "annealed_vae", "anneal_steps": 4000}
    path = scored(service, {0: 3.0}, objective=objective, training={"steps": steps})
    assert ("anneal_steps is 4,000 of 3,999 steps" in told(service, path)) is grows
    assert ("capacity" in told(service, path)) is grows


def test_latents_are_called_in_advice_and_details_as_people_call_them(service: Service) -> None:
    path = scored(service, {0: 3.0, 1: 0.002})
    assert "(z1)" in told(service, path)
    assert "latents" not in service.json(f"{path}/scores")["items"][0]["details"]
    answer = service.client.patch(path, json={"latent_names": {"1": "smile"}})
    assert answer.status_code == 200, answer.text
    assert "(z1 smile)" in told(service, path)
    assert "z1 smile is unused" in told(service, path)
    [evaluation] = queries.evaluations(service.database, path.rpartition("/")[2])
    of_evaluation = f"/v1/evaluations/{evaluation.id}"
    for place in (path, of_evaluation):
        details = service.json(f"{place}/scores")["items"][0]["details"]
        assert details["latents"] == ["z0", "z1 smile", "z2"]
    assert told(service, of_evaluation) == told(service, path)
