"""What the OpenAPI document says of every endpoint holds, whatever it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from store.settings import Settings
from tests.api.served import served
from tests.api.service import serving
from tests.api.trained_run import trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CASES = 12
"""Of each endpoint, on each database."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


def with_ids(document: dict[str, Any], known: dict[str, list[str]]) -> dict[str, Any]:
    """The OpenAPI document, with what is there to be asked for; else every answer were a 404."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                if parameter["in"] == "path":
                    kind = path.split("/")[2]
                    values = known.get(f"{kind}.{name}", known.get(kind, []))
                    parameter["schema"] = {"type": "string", "enum": [*values, "none-such"]}
                if name == "wait":
                    parameter["schema"] = {"type": "number", "minimum": -1, "maximum": 0.1}
    # A stream of events has no end.
    del document["paths"]["/v1/events"]
    return document


def test_no_request_makes_an_endpoint_fail_or_answer_otherwise_than_it_is_documented(
    tmp_path: Path, database_url: str
) -> None:
    with serving(tmp_path, database_url=database_url) as service:
        run = trained(service)
        [artifact, *_] = service.json(f"/v1/runs/{run}/artifacts")["items"]
        experiment = service.json("/v1/experiments")["items"][0]["id"]
        document = service.json("/openapi.json")
        known = {
            "runs": [run],
            "runs.plot": ["traversal", "latent_plane", "codes_map"],
            "experiments": [experiment],
            "experiments.plot": ["score_against", "metric_against_metric"],
            "datasets": ["digits"],
            "datasets.plot": ["factor_grid"],
            "artifacts": [artifact["sha256"]],
        }
        with served(Settings(home=tmp_path, database_url=database_url)) as url:
            for found in from_dict(with_ids(document, known)).get_all_operations():
                examine(found.ok(), url)


def examine(operation: Any, url: str) -> None:
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    def answers_as_documented(case: schemathesis.Case) -> None:
        case.call_and_validate(url, checks=CHECKS)

    answers_as_documented()
