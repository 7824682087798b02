"""Every answer is of a status and a media type that OpenAPI has of its operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.service import Service
from tests.api.trained_run import SPEC, model_of, trained
from tests.npz import npz

SNAPSHOTS = {"snapshots/00000010.safetensors": model_of().to_bytes()}
BODIES: dict[str, Any] = {
    "/v1/runs/{id}/decode": {"latents": [[0, 0, 1]]},
    "/v1/runs/{id}/encode": {"index": [0, 1]},
    "/v1/runs/{id}/generate": {"count": 2},
    "/v1/runs/{id}/anomaly": {"index": [0]},
    "/v1/runs/{id}/neighbours": {"index": 0, "count": 2},
    "/v1/runs/{id}/distances": {"index": [0, 1]},
    "/v1/runs/{id}/swap": {"a": 0, "b": 1, "latents": [0]},
    "/v1/runs/{id}/interpolate": {"a": 0, "b": 1, "frames": 3},
    "/v1/runs/{id}/clone": {"changes": {"name": "again"}},
    "/v1/runs/{id}/extend": {"steps": 40},
    "/v1/runs/{id}/fork": {"steps": 40},
    "/v1/runs/{id}/evaluations": {"metrics": ["mig"]},
    "/v1/experiments": SPEC,
    "/v1/experiments/{id}/clone": {"changes": {"name": "again"}},
    "/v1/experiments/{id}/extend": {"steps": 40},
    "/v1/experiments/{id}/fork": {"steps": 40},
}
"""What an operation takes, where that is not an empty object."""
ENDLESS = "/v1/events"


@pytest.fixture(scope="module")
def known(shared: Service) -> dict[str, str]:
    """What stands in the places of paths."""
    run = trained(shared, more=SNAPSHOTS)
    evaluation = shared.accepted(shared.upload(npz(), {"metrics": ["mig"]}))["id"]
    [experiment] = shared.json("/v1/experiments")["items"]
    sha256 = shared.json(f"/v1/runs/{run}/artifacts")["items"][0]["sha256"]
    return {
        "runs": run,
        "experiments": experiment["id"],
        "evaluations": evaluation,
        "sha": sha256,
    }


def begun_upload(service: Service) -> str:
    """The id of an upload of which nothing has come."""
    return str(service.client.post("/v1/uploads", json={"bytes": 10}).json()["id"])


def operations(service: Service, methods: set[str]) -> Iterator[tuple[str, str, Any]]:
    for path, item in service.json("/openapi.json")["paths"].items():
        for method, operation in item.items():
            if method in methods and path != ENDLESS:
                yield method, path, operation


def filled(path: str, known: dict[str, str]) -> str:
    """A path of something that is there."""
    kind = path.split("/")[2] if path.startswith("/v1/") else ""
    plot = {"runs": "curves", "experiments": "score_by_objective", "datasets": "factor_grid"}
    values = {
        "{id}": known.get(kind, ""),
        "{plot}": plot.get(kind, ""),
        "{name}": "tutorial" if kind == "presets" else "digits",
        "{sha256}": known["sha"],
    }
    for place, value in values.items():
        path = path.replace(place, value)
    return path + ("?dataset=digits" if path == "/v1/leaderboard" else "")


def check(operation: Any, answer: httpx.Response) -> str:
    """The media type of an answer that OpenAPI has."""
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, (operation["operationId"], answer.status_code, answer.text)
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if media_type:
        assert media_type in described.get("content", {}), (operation["operationId"], media_type)
    else:
        assert "content" not in described and not answer.content, operation["operationId"]
    return media_type


def test_what_is_read_is_described(shared: Service, known: dict[str, str]) -> None:
    # Each test has a data folder of its own, where uploads lie.
    there = {**known, "uploads": begun_upload(shared)}
    for method, path, operation in operations(shared, {"get", "head"}):
        offered = set(operation["responses"]["200"]["content"])
        found = set()
        for accepted in offered:
            answer = shared.client.request(
                method, filled(path, there), headers={"accept": accepted}
            )
            assert answer.status_code == 200, (path, answer.text)
            found.add(check(operation, answer))
        # And what is described is there, but for artifacts, which are of many kinds.
        assert found == offered or "{sha256}" in path, path


def test_parts_of_files_are_described_where_there_are_any(
    shared: Service, known: dict[str, str]
) -> None:
    for _, path, operation in operations(shared, {"get"}):
        whole = filled(path, known)
        if (
            not whole.endswith((".png", ".gif", ".svg", ".zip", ".npz"))
            and known["sha"] not in whole
        ):
            continue
        for part, status in {"bytes=0-3": 206, "bytes=900000000-": 416}.items():
            answer = shared.get(whole, range=part)
            assert answer.status_code in (200, status)
            check(operation, answer)
            if "206" not in operation["responses"]:
                assert answer.status_code == 200, path


def test_what_is_asked_of_a_model_is_described(shared: Service, known: dict[str, str]) -> None:
    for _, path, operation in operations(shared, {"post"}):
        if "200" not in operation["responses"] or path not in BODIES:
            continue
        if "202" in operation["responses"]:
            continue
        offered = set(operation["responses"]["200"]["content"])
        found = set()
        for accepted in offered:
            answer = shared.client.post(
                filled(path, known), json=BODIES[path], headers={"accept": accepted}
            )
            assert answer.status_code == 200, (path, answer.text)
            found.add(check(operation, answer))
        assert found == offered, path


def test_what_is_written_is_described(service: Service) -> None:
    id = trained(service)
    [experiment] = service.json("/v1/experiments")["items"]
    evaluation = service.accepted(service.upload(npz(), {"metrics": ["mig"]}))["id"]
    there = {
        "runs": id,
        "experiments": experiment["id"],
        "evaluations": evaluation,
        "uploads": begun_upload(service),
        "sha": "",
    }
    for method, path, operation in operations(service, {"post", "patch", "delete"}):
        if method == "delete" or path == "/v1/evaluations" or "200" not in operation["responses"]:
            continue
        body = BODIES.get(path, {} if method == "patch" else None)
        check(operation, service.client.request(method, filled(path, there), json=body))
        if "202" in operation["responses"]:
            check(operation, service.client.post(f"{filled(path, there)}?dry_run=true", json=body))


def test_refusals_are_described(shared: Service, known: dict[str, str]) -> None:
    nothing = {"runs": "run_x", "experiments": "exp_x", "evaluations": "eval_x", "sha": "0" * 64}
    for method, path, operation in operations(shared, {"get", "head", "post", "patch", "delete"}):
        body = BODIES.get(path, {}) if method in ("post", "patch") else None
        asked = filled(path, nothing).replace("digits", "nothing")
        for query in ("", "?unknown=1"):
            answer = shared.client.request(method, asked.partition("?")[0] + query, json=body)
            if answer.status_code >= 400 and method != "head":
                assert check(operation, answer) == "application/problem+json"
