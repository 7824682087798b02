from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from ml.components.registry import components
from tests.api.service import SPEC, Service

KINDS = {
    "objectives": "objective",
    "metrics": "metric",
    "datasets": "dataset",
    "models": "model",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "plots": "plot",
}


def test_every_component_is_in_the_catalogue(shared: Service) -> None:
    catalog = shared.json("/v1/catalog")
    assert set(catalog) == set(KINDS)
    for plural, kind in KINDS.items():
        assert [entry["name"] for entry in catalog[plural]] == list(components(kind))


def test_an_entry_says_what_a_component_means_and_takes(shared: Service) -> None:
    for entries in shared.json("/v1/catalog").values():
        for entry in entries:
            assert entry["summary"] and entry["description"].startswith(entry["summary"])
            assert entry["version"] >= 1 and entry["source"].startswith("ml.")
            Draft202012Validator.check_schema(entry["params_schema"])
            assert entry["params_schema"]["properties"]["name"]["const"] == entry["name"]


@pytest.mark.parametrize(
    ("plural", "field"), [("objectives", "objective"), ("models", "model"), ("datasets", "dataset")]
)
def test_every_entry_can_be_posted_by_its_name(service: Service, plural: str, field: str) -> None:
    for entry in service.json("/v1/catalog")[plural]:
        document = service.post({**SPEC, "model": "mlp", field: entry["name"]})
        run = service.json(f"/v1/runs/{service.run_of(document)}")
        assert run["spec"][field]["name"] == entry["name"]
