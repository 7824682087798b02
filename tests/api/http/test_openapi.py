from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from api.documents.evaluations import EvaluationDocument
from ml.codes.found_arrays import KNOWN
from ml.components.registry import components
from ml.spec.evaluation_spec import FileEvaluation, RunEvaluation
from ml.spec.parts import Evaluation
from tests.api.service import SPEC, Service
from tests.npz import npz

VERBS = ("create", "get", "head", "list", "stream", "update", "delete")
VERBS += ("cancel", "resume", "retry", "clone", "pin", "unpin")


@pytest.fixture(scope="module")
def document(shared: Service) -> Any:
    with warnings.catch_warnings():
        # FastAPI warns of operations that share an id.
        warnings.simplefilter("error")
        return shared.json("/openapi.json")


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def body_schema(document: Any) -> dict[str, Any]:
    """The schema of what create_experiment takes, with what it refers to."""
    operation = document["paths"]["/v1/experiments"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return schema | {"components": document["components"]}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        yield from value.get("discriminator", {}).get("mapping", {}).values()
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_no_schema_is_named_by_the_module_that_defines_it(document: Any) -> None:
    # Pydantic does so where two have one name; the name would change whenever a module moves.
    names = document["components"]["schemas"]
    assert [name for name in names if re.match("(api|ml|store)__", name)] == []


def test_every_reference_leads_somewhere(document: Any) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        here = document
        assert reference.startswith("#/")
        for part in reference.removeprefix("#/").split("/"):
            assert part in here, reference
            here = here[part]


def test_every_operation_has_its_own_readable_id(document: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for id in ids:
        assert re.fullmatch(
            r"(create|get|head|list|stream|retry|clone|extend|fork|update|cancel|resume|pin|unpin|delete)(_[a-z]+)+",
            id,
        ), id


def test_every_operation_says_what_it_does_and_how_it_refuses(document: Any) -> None:
    for path, method, operation in operations(document):
        assert operation["description"], (path, method)
        for status, answer in operation["responses"].items():
            if status.startswith("4") and status != "416":
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_every_schema_is_one(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_what_is_taken_lists_every_objective_with_its_parameters(document: Any) -> None:
    schema = body_schema(document)
    objects, bare_names = schema["properties"]["objective"]["anyOf"]
    union = objects["discriminator"]["mapping"]
    assert sorted(union) == bare_names["enum"] == list(components("objective"))
    for name, reference in union.items():
        described = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert set(described["properties"]) == set(components("objective")[name].model_fields)
    assert set(schema["required"]) == {"dataset", "objective"}


def test_the_example_is_taken_and_fits_its_schema(service: Service, document: Any) -> None:
    content = document["paths"]["/v1/experiments"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    schema = body_schema(document)
    validator_for(schema, Draft202012Validator)(schema).validate(example)
    assert len(service.post(example)["runs"]) == 9


def test_the_key_of_a_request_is_described(document: Any) -> None:
    operation = document["paths"]["/v1/experiments"]["post"]
    headers = [one for one in operation["parameters"] if one["in"] == "header"]
    [key] = [one for one in headers if one["name"] != "Heddle-User"]
    assert (key["name"], key["required"]) == ("Idempotency-Key", False)
    assert "1 to 255 printable ASCII characters" in key["description"]
    assert "Idempotent-Replayed" in operation["responses"]["202"]["headers"]


def test_a_file_to_evaluate_and_its_spec_are_described(document: Any) -> None:
    operation = document["paths"]["/v1/evaluations"]["post"]
    [(media_type, content)] = operation["requestBody"]["content"].items()
    assert media_type == "multipart/form-data"
    assert content["schema"]["required"] == ["file"]
    for array in KNOWN:
        assert array in content["schema"]["properties"]["file"]["description"]
    spec = content["schema"]["properties"]["spec"]
    assert set(spec["properties"]) == set(FileEvaluation.model_fields)


def test_the_example_of_a_runs_evaluation_fits_its_schema(document: Any) -> None:
    operation = document["paths"]["/v1/runs/{id}/evaluations"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    schema = content["schema"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(content["example"])
    assert set(schema["properties"]) == set(RunEvaluation.model_fields)


def test_no_schema_hides_another_of_its_name(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["Evaluation"]["properties"]) == set(Evaluation.model_fields)
    assert set(schemas["EvaluationDocument"]["properties"]) == set(EvaluationDocument.model_fields)


@pytest.mark.parametrize(
    "path", ["/v1/experiments", "/v1/runs", "/v1/evaluations", "/v1/catalog", "/healthz", "/readyz"]
)
def test_answers_fit_their_schemas(service: Service, document: Any, path: str) -> None:
    service.post(SPEC)
    service.finish()
    service.accepted(service.upload(npz()))
    answers = document["paths"][path]["get"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema | {"components": document["components"]}).validate(
        service.json(path)
    )
