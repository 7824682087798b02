from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ml.components.registry import components
from ml.experiments.presets.preset import preset, presets
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
    assert set(catalog) == {*KINDS, "presets"}
    for plural, kind in KINDS.items():
        assert [entry["name"] for entry in catalog[plural]] == list(components(kind))


def test_an_entry_says_what_a_component_means_and_takes(shared: Service) -> None:
    catalog = shared.json("/v1/catalog")
    for plural in KINDS:
        for entry in catalog[plural]:
            assert entry["summary"] and entry["description"].startswith(entry["summary"])
            assert entry["version"] >= 1 and entry["source"].startswith("ml.")
            Draft202012Validator.check_schema(entry["params_schema"])
            assert entry["params_schema"]["properties"]["name"]["const"] == entry["name"]


def test_a_metric_says_what_it_fails_and_what_it_measures(shared: Service) -> None:
    catalog = shared.json("/v1/catalog")
    for plural in [*KINDS, "presets"]:
        for entry in catalog[plural]:
            assert plural == "metrics" or entry["validity"] == []
    [mig] = [entry for entry in catalog["metrics"] if entry["name"] == "mig"]
    [found] = mig["validity"]
    assert (found["setting"], found["number"]) == ("mig", "mig")
    assert "fair_under_correlation" in found["fails"]
    assert "best_for_perfect" in found["has"] and not set(found["has"]) & set(found["fails"])
    assert "penalises_duplicates" in found["penalises"]
    [dci] = [entry for entry in catalog["metrics"] if entry["name"] == "dci"]
    assert "dci:predictor=lasso" in {one["setting"] for one in dci["validity"]}


def test_an_entry_of_a_preset_says_where_it_is_from_and_what_may_be_chosen(shared: Service) -> None:
    entries = shared.json("/v1/catalog")["presets"]
    assert [entry["name"] for entry in entries] == list(presets())
    for entry in entries:
        found = preset(entry["name"])
        assert entry["source"] == found.source and entry["summary"] == found.summary
        assert all(sentence in entry["description"] for sentence in found.differs)
        assert set(entry["params_schema"]["properties"]) == {"dataset", "seeds"}


@pytest.mark.parametrize(
    ("plural", "field"), [("objectives", "objective"), ("models", "model"), ("datasets", "dataset")]
)
def test_every_entry_can_be_posted_by_its_name(service: Service, plural: str, field: str) -> None:
    for entry in service.json("/v1/catalog")[plural]:
        if entry["source"].startswith(("ml.datasets.published.", "ml.datasets.tables.")):
            # These are read from files, which are not here.
            continue
        document = service.post({**SPEC, "model": "mlp", field: entry["name"]})
        run = service.json(f"/v1/runs/{service.run_of(document)}")
        assert run["spec"][field]["name"] == entry["name"]


def test_a_data_set_whose_file_is_away_says_where_to_put_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    public = [
        entry["name"]
        for entry in service.json("/v1/catalog")["datasets"]
        if entry["source"].startswith("ml.datasets.published.")
    ]
    assert {"shapes3d", "cars3d", "mnist", "celeba"} <= set(public)
    for name in public:
        answer = service.client.post("/v1/experiments", json={**SPEC, "dataset": name})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["path"] == "dataset.path"
        assert str(tmp_path) in error["expected"] and "It is published at " in error["expected"]
