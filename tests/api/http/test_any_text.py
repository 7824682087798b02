"""Text in parameters, headers and fields: each is read, or refused by its name."""

from __future__ import annotations

import json

import pytest

from tests.api.service import SPEC, Service
from tests.hostile import TEXTS

FIELDS = ("name", "tags", "notes")


@pytest.mark.parametrize("kind", TEXTS)
def test_no_parameter_makes_an_endpoint_fail(kind: str, service_on_each: Service) -> None:
    text = TEXTS[kind]
    paths = service_on_each.client.app.openapi()["paths"]  # type: ignore[attr-defined]
    for path, operations in paths.items():
        if "get" not in operations or path == "/v1/events":
            continue
        for parameter in operations["get"].get("parameters", ()):
            if parameter["in"] == "query":
                answer = service_on_each.client.get(path, params={parameter["name"]: text})
                assert answer.status_code < 500, (path, parameter["name"], answer.text)
            elif parameter["in"] == "header":
                headers = {parameter["name"]: text.encode()}
                answer = service_on_each.client.get(path, headers=headers)
                assert answer.status_code < 500, (path, parameter["name"], answer.text)


BAD = {"nul": "a\x00b", "surrogate": "a\ud800b"}


@pytest.mark.parametrize("kind", BAD)
def test_text_that_no_database_holds_is_refused_by_its_field(
    kind: str, service_on_each: Service
) -> None:
    experiment = service_on_each.post()
    for field in FIELDS:
        value = [BAD[kind]] if field == "tags" else BAD[kind]
        body = json.dumps({**SPEC, field: value}).encode()
        answer = service_on_each.send(body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["path"].startswith(field)
        change = service_on_each.client.patch(
            f"/v1/experiments/{experiment['id']}",
            content=json.dumps({field: value}),
            headers={"content-type": "application/json"},
        )
        assert change.status_code == 422, change.text
