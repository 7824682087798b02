"""`training.precision: auto` in what is posted."""

from __future__ import annotations

from typing import Any

import pytest

from ml.components.spec_errors import InvalidSpec
from ml.experiments.experiment import parse_experiment
from ml.spec.choices import Precision
from ml.spec.identity import cohort_key, train_id
from ml.spec.precision import decided
from ml.spec.run_spec import RunSpec

SPEC: dict[str, Any] = {"dataset": "digits", "objective": "vae"}


def bfloat16() -> Precision:
    return "bfloat16"


def never() -> Precision:
    raise AssertionError("nobody said auto")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_decided_spec_is_the_same_work_as_the_spec_that_says_so(precision: Precision) -> None:
    auto = SPEC | {"training": {"steps": 5, "precision": "auto"}}
    explicit = SPEC | {"training": {"steps": 5, "precision": precision}}
    found = RunSpec.parse(decided(auto, lambda: precision))
    assert found == RunSpec.parse(explicit)
    assert train_id(found) == train_id(RunSpec.parse(explicit))
    assert cohort_key(found) == cohort_key(RunSpec.parse(explicit))
    assert auto["training"] == {"steps": 5, "precision": "auto"}


def test_every_place_where_a_spec_can_say_it_is_decided() -> None:
    posted = {
        "training": {"precision": "auto"},
        "sweep": {
            "training.precision": ["auto", "float32", "bfloat16"],
            "training": [{"precision": "auto"}, {"steps": 3}],
            "seed": [1, 1],
        },
        "origin": {"training.precision": "auto", "training.steps": 3},
    }
    assert decided(posted, bfloat16) == {
        "training": {"precision": "bfloat16"},
        # The runs of equal precision are one.
        "sweep": {
            "training.precision": ["bfloat16", "float32"],
            "training": [{"precision": "bfloat16"}, {"steps": 3}],
            "seed": [1, 1],
        },
        "origin": {"training.precision": "bfloat16", "training.steps": 3},
    }


def test_origins_of_origins_and_swept_origins_are_decided_too() -> None:
    auto, chosen = (
        {"training.precision": one, "training.steps": 3} for one in ("auto", "bfloat16")
    )
    posted = {
        "origin": {"training.steps": 5, "origin": auto},
        "sweep": {
            "origin": [None, auto, chosen],
            "origin.training.precision": ["auto", "float32"],
            "origin.origin.training": [{"precision": "auto"}],
        },
    }
    assert decided(posted, bfloat16) == {
        "origin": {"training.steps": 5, "origin": chosen},
        "sweep": {
            "origin": [None, chosen],
            "origin.training.precision": ["bfloat16", "float32"],
            "origin.origin.training": [{"precision": "bfloat16"}],
        },
    }
    spec = SPEC | {"training": {"steps": 9}, "origin": posted["origin"]}
    first = RunSpec.parse(decided(spec, bfloat16)).origin_spec()
    assert first is not None and (second := first.origin_spec()) is not None
    assert second.training.precision == "bfloat16"


@pytest.mark.parametrize(
    "posted",
    [
        {},
        SPEC,
        SPEC | {"training": {"precision": "float32"}},
        SPEC | {"sweep": {"training.precision": ["float32", "float32"]}},
        # Only a precision is decided.
        SPEC | {"name": "auto", "model": "auto", "training": {"sampling": "auto"}},
        {"training": "auto", "sweep": "auto", "origin": ["auto"]},
        {"training": {"precision": {"auto": 1}}, "sweep": {"training.precision": 7}},
        {"training": None, "sweep": {1: ["auto"]}, "origin": None},
    ],
    ids=str,
)
def test_anything_else_stays_as_it_is(posted: dict[str, Any]) -> None:
    assert decided(posted, never) == posted


def test_a_sweep_over_it_has_a_run_for_each_precision() -> None:
    posted = SPEC | {"sweep": {"training.precision": ["auto", "float32"], "seed": [0, 1]}}
    runs = parse_experiment(decided(posted, bfloat16)).runs
    assert [run.spec.training.precision for run in runs] == ["bfloat16"] * 2 + ["float32"] * 2
    assert runs[0].swept == {"training.precision": "bfloat16", "seed": 0}


def test_where_nothing_can_be_measured_it_is_refused() -> None:
    with pytest.raises(InvalidSpec) as refused:
        RunSpec.parse(SPEC | {"training": {"precision": "auto"}})
    [fault] = refused.value.faults
    assert (fault.path, fault.got) == ("training.precision", "auto")
    assert "nothing was measured" in fault.expected
    for wrong in ("float16", 32, None):
        with pytest.raises(InvalidSpec):
            RunSpec.parse(SPEC | {"training": {"precision": wrong}})


def test_the_schema_names_it() -> None:
    schema = str(RunSpec.model_json_schema()["$defs"]["Training"]["properties"]["precision"])
    assert all(f"'{one}'" in schema for one in ("float32", "bfloat16", "auto"))
