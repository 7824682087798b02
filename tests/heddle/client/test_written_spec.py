"""Specs as people write them."""

from __future__ import annotations

import datetime
import math
from pathlib import Path

import pytest

from heddle.client.spec import override, read_spec
from heddle.errors import SpecError


def test_yaml_is_read_by_the_1_2_rules() -> None:
    read = read_spec("rate: 1e-4\nword: no\nten: 010\ntags: [2024-01-31]\n")
    assert read == {"rate": 1e-4, "word": "no", "ten": 10, "tags": ["2024-01-31"]}


def test_a_mapping_a_file_and_its_name_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("dataset: {name: dsprites}\n")
    expected = {"dataset": {"name": "dsprites"}}
    assert read_spec(path) == read_spec(str(path)) == read_spec(expected) == expected


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"Got 'sweep\.yaml', expected an existing file or a YAML"):
        read_spec("sweep.yaml")
    with pytest.raises(SpecError, match=r"Cannot read the spec .*No such file"):
        read_spec(tmp_path / "absent.yaml")


def test_broken_yaml_is_refused_with_its_place() -> None:
    with pytest.raises(SpecError, match=r"(?s)is not YAML.*line 2"):
        read_spec("a: 1\nb: [1, 2\n")
    with pytest.raises(SpecError, match="duplicate key"):
        read_spec("a: 1\na: 2\n")


def test_what_json_cannot_carry_is_refused_by_its_path() -> None:
    with pytest.raises(SpecError, match=r"spec\.objective\.beta: got nan, expected a finite"):
        read_spec({"objective": {"beta": math.nan}})
    with pytest.raises(SpecError, match=r"spec\.tags\[1\]: got a timedelta, expected what JSON"):
        read_spec({"tags": ["a", datetime.timedelta(1)]})


def test_overrides_reach_into_the_spec() -> None:
    spec = read_spec("objective: {name: beta_vae, beta: 4}\nevaluation:\n")
    override(spec, "objective.beta=1e-3")
    override(spec, "training.optimizer.name=adam")
    override(spec, "evaluation.metrics=[mig, sap]")
    override(spec, "sweep.objective.beta=[1, 4]")
    assert spec == {
        "objective": {"name": "beta_vae", "beta": 1e-3},
        "training": {"optimizer": {"name": "adam"}},
        "evaluation": {"metrics": ["mig", "sap"]},
        "sweep": {"objective.beta": [1, 4]},
    }


def test_an_override_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match="Got the override 'steps', expected path=value"):
        override({}, "steps")
    with pytest.raises(SpecError, match=r"Cannot set seed\.a\.b: seed is 3, expected a mapping"):
        override({"seed": 3}, "seed.a.b=1")
