import math
from collections.abc import Mapping
from typing import Any

import pytest

from ml.components.dotted_paths import with_values
from ml.components.spec_errors import Fault, InvalidSpec
from ml.experiments.experiment import parse_experiment
from ml.spec.run_spec import RunSpec

LEAST = {"dataset": "digits", "objective": "beta_vae"}


def faults_of(spec: object) -> list[Fault]:
    with pytest.raises(InvalidSpec) as raised:
        parse_experiment(spec, remote=True)
    return raised.value.faults


def test_everything_but_dataset_and_objective_has_the_protocols_defaults() -> None:
    document = RunSpec.parse(LEAST).document()
    assert document["model"] == {"name": "locatello", "latent_dim": 10}
    assert document["objective"] == {"name": "beta_vae", "beta": 4.0, "beta_norm": None}
    training = document["training"]
    assert (training["steps"], training["batch_size"]) == (300_000, 64)
    assert training["optimizer"] == {
        "name": "adam",
        "learning_rate": 1e-4,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "weight_decay": 0.0,
    }
    assert document["seed"] == 0


def test_params_alone_are_those_of_the_default_component() -> None:
    spec = RunSpec.parse(
        {**LEAST, "model": {"latent_dim": 6}, "training": {"optimizer": {"learning_rate": 1e-3}}}
    )
    assert (spec.model.name, spec.model.latent_dim) == ("locatello", 6)
    assert spec.training.optimizer.name == "adam"
    runs = parse_experiment({**LEAST, "sweep": {"model.latent_dim": [5, 7]}}).runs
    assert [run.spec.model.latent_dim for run in runs] == [5, 7]


def test_a_resolved_spec_resolves_to_itself() -> None:
    document = RunSpec.parse(LEAST).document()
    assert RunSpec.parse(document).document() == document


@pytest.mark.parametrize(
    ("change", "path", "got", "nearest"),
    [
        ({"trainin": {}}, "trainin", {}, "training"),
        ({"objective": {"name": "beta_vea"}}, "objective.name", "beta_vea", "beta_vae"),
        ({"objective": "beta_vea"}, "objective.name", "beta_vea", "beta_vae"),
        ({"objective": {"name": "beta_vae", "beta": -1}}, "objective.beta", -1, None),
        ({"objective": {"name": "beta_vae", "betta": 1}}, "objective.betta", 1, "beta"),
        ({"objective": {"name": "beta_vae", "beta": math.nan}}, "objective.beta", "nan", None),
        ({"objective": {"name": "beta_vae", "beta": math.inf}}, "objective.beta", "inf", None),
        ({"objective": {"beta": 1}}, "objective.name", None, None),
        ({"objective": None}, "objective", None, None),
        ({"training": {"stps": 3}}, "training.stps", 3, "steps"),
        ({"training": {"steps": 10**9}}, "training.steps", 10**9, None),
        ({"training": {"batch_size": 10**6}}, "training.batch_size", 10**6, None),
        ({"training": {"optimizer": {"name": "adem"}}}, "training.optimizer.name", "adem", "adam"),
        ({"model": {"latent_dim": 0}}, "model.latent_dim", 0, None),
        ({"model": {"latent_dims": 3}}, "model.latent_dims", 3, "latent_dim"),
        ({"model": {"name": "locatello", "latent_dim": 0}}, "model.latent_dim", 0, None),
        ({"evaluation": {"metrics": ["elbo", "mgi"]}}, "evaluation.metrics[1].name", "mgi", "mig"),
        ({"evaluation": {"metrics": [{"name": "mig", "bins": 1}]}}, "evaluation.metrics[0].bins", 1,
         None),
        ({"seed": 2**63}, "seed", 2**63, None),
        ({"seed": 1.5}, "seed", 1.5, None),
        ({"sweep": {"objektive.beta": [1]}}, "sweep.objektive.beta", "objektive.beta", "objective"),
        ({"sweep": {"objective.beta": [1, 2, -4]}}, "sweep.objective.beta[2]", -4, None),
        ({"sweep": {"objective": ["vae", {"name": "beta_vae", "beta": "x"}]}},
         "sweep.objective[1].beta", "x", None),
        ({"objective": {"name": "beta_vae", "beta": 4}, "sweep": {"objective.beta_norm": [0.01]}},
         "sweep.objective.beta_norm[0]", 0.01, None),
        ({"sweep": {"objective.beta": [4], "objective.beta_norm": [0.01]}}, "objective",
         {"name": "beta_vae", "beta": 4, "beta_norm": 0.01}, None),
        ({"sweep": {"seed": []}}, "sweep.seed", [], None),
        ({"tags": [""]}, "tags[0]", "", None),
        ({"dataset": {"name": "dsprites", "path": "/etc/passwd"}}, "dataset.path", "/etc/passwd",
         None),
        ({"dataset": {"name": "dsprites", "path": "../x"}}, "dataset.path", "../x", None),
    ],
)  # fmt: skip
def test_a_fault_names_path_what_came_and_the_nearest_name(
    change: dict[str, Any], path: str, got: Any, nearest: str | None
) -> None:
    faults = faults_of({**LEAST, **change})
    assert [(fault.path, fault.got, fault.nearest) for fault in faults] == [(path, got, nearest)]
    assert faults[0].expected


@pytest.mark.parametrize("spec", [None, [], "vae", 3])
def test_what_is_no_object_is_refused(spec: object) -> None:
    assert "an object" in faults_of(spec)[0].expected


def test_missing_parts_are_all_named() -> None:
    assert {fault.path for fault in faults_of({})} == {"dataset", "objective"}


def test_a_sweep_of_a_million_is_refused_before_it_is_made() -> None:
    sweep = {"seed": list(range(1000)), "objective.beta": list(range(1000))}
    (fault,) = faults_of({**LEAST, "sweep": sweep})
    assert fault.path == "sweep" and "1000000" in str(fault.got) and "10000" in fault.expected


def test_a_sweep_is_a_product_with_the_last_path_fastest() -> None:
    sweep = {"objective.beta": [1, 4], "seed": [0, 1, 2]}
    runs = parse_experiment({**LEAST, "sweep": sweep}).runs
    assert [(run.swept["objective.beta"], run.spec.seed) for run in runs] == [
        (1, 0), (1, 1), (1, 2), (4, 0), (4, 1), (4, 2),
    ]  # fmt: skip
    assert [run.spec.objective.model_dump()["beta"] for run in runs] == [1, 1, 1, 4, 4, 4]


def test_a_whole_component_is_applied_before_paths_into_it() -> None:
    sweep = {"objective.beta": [7], "objective": ["beta_vae", {"name": "beta_vae", "beta": 2}]}
    runs = parse_experiment({"dataset": "digits", "sweep": sweep}).runs
    assert [run.spec.objective.model_dump()["beta"] for run in runs] == [7, 7]


def test_a_swept_path_makes_the_parts_that_lead_to_it() -> None:
    runs = parse_experiment({**LEAST, "sweep": {"training.optimizer.learning_rate": [1e-3]}}).runs
    assert runs[0].spec.training.optimizer.learning_rate == 1e-3


def test_images_that_the_model_cannot_take_are_refused_with_the_spec() -> None:
    (fault,) = faults_of({"dataset": {"name": "digits", "size": 32}, "objective": "vae"})
    assert fault.path == "model" and "64 x 64" in fault.expected


def test_an_item_that_is_refused_is_told_once() -> None:
    given = {
        "dataset": "digits",
        "objective": "vae",
        "model": {"name": "mlp", "hidden": [100_000]},
    }
    with pytest.raises(InvalidSpec) as raised:
        RunSpec.parse(given)
    assert [fault.path for fault in raised.value.faults] == ["model.hidden[0]"]


def test_a_coefficient_that_the_objective_has_not_is_told_with_those_it_has() -> None:
    given = {
        "dataset": "digits",
        "objective": "beta_tcvae",
        "training": {"coefficients": {"betta": "warm_up", "gamma": "warm_up"}},
    }
    with pytest.raises(InvalidSpec) as raised:
        RunSpec.parse(given)
    [fault] = raised.value.faults
    assert (fault.path, fault.nearest) == ("training.coefficients.betta", "beta")
    assert "alpha, beta, gamma" in fault.expected
    with pytest.raises(InvalidSpec, match="vae has no coefficients"):
        RunSpec.parse({**given, "objective": "vae"})


def test_a_deviation_of_pixels_is_refused_where_it_is_of_no_use() -> None:
    given = {
        "dataset": "digits",
        "objective": "vae",
        "training": {"likelihood": "bernoulli", "pixel_deviation": 0.1},
    }
    with pytest.raises(InvalidSpec, match="the bernoulli likelihood has no deviation"):
        RunSpec.parse(given)
    gaussian = {**given, "training": {"likelihood": "gaussian", "pixel_deviation": 0.1}}
    assert RunSpec.parse(gaussian).training.pixel_deviation == 0.1


@pytest.mark.parametrize("weight", [10**400, "much", None, 2e7, [1]])
@pytest.mark.parametrize("name", ["dip_vae_i", "dip_vae_ii"])
def test_a_weight_that_is_none_is_told_where_it_was_written(name: str, weight: object) -> None:
    given = {"dataset": "digits", "objective": {"name": name, "lambda_od": weight}}
    assert [fault.path for fault in faults_of(given)] == ["objective.lambda_od"]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fields that were checked, one after the other."""
    fields: list[str] = []
    real = RunSpec.part

    def counting(field: str, data: Mapping[str, Any], **client: Any) -> Any:
        fields.append(field)
        return real(field, data, **client)

    monkeypatch.setattr(RunSpec, "part", counting)
    return fields


def test_a_part_is_checked_once_for_each_value_that_it_takes(checked: list[str]) -> None:
    sweep = {"objective.beta": [1, 4], "seed": [0, 1, 2], "training.steps": [10, 20]}
    assert len(parse_experiment({**LEAST, "sweep": sweep}).runs) == 12
    assert len(checked) == len(RunSpec.model_fields) + 1 + 2 + 1
    assert (checked.count("objective"), checked.count("seed"), checked.count("model")) == (2, 3, 1)


def test_a_fault_of_the_base_is_found_once_however_many_places_there_are(
    checked: list[str],
) -> None:
    spec = {**LEAST, "training": {"stepps": 5}, "sweep": {"seed": [*range(2999), -1]}}
    paths = [fault.path for fault in faults_of(spec)]
    # Beside it, what is wrong at the last place of the sweep is told as well.
    assert paths == ["training.stepps", "sweep.seed[2999]"]
    assert checked.count("training") == 1


def test_places_that_have_the_same_fault_are_not_all_looked_at(
    checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list(range(1, 3000))
    spec = {**LEAST, "training": {"stepps": 5}, "sweep": {"training.steps": steps}}
    assert [fault.path for fault in faults_of(spec)] == ["training.stepps"]
    assert checked.count("training") == 20
    # What no part has by itself, as coefficients that the objective has not.
    whole: list[object] = []
    real = RunSpec.of_parts
    monkeypatch.setattr(
        RunSpec, "of_parts", lambda parts, **client: (whole.append(parts), real(parts))[1]
    )
    spec = {**LEAST, "training": {"coefficients": {"gamma": "constant"}}}
    paths = [fault.path for fault in faults_of({**spec, "sweep": {"seed": list(range(2999))}})]
    assert paths == ["training.coefficients.gamma"]
    assert len(whole) == 20


def test_no_more_coefficients_are_read_than_may_be() -> None:
    coefficients = {f"beta{number}": "constant" for number in range(65)}
    (fault,) = faults_of({**LEAST, "training": {"coefficients": coefficients}})
    assert fault.path == "training.coefficients" and "at most 64" in fault.expected
    del coefficients["beta0"]
    assert len(faults_of({**LEAST, "training": {"coefficients": coefficients}})) == 20


def test_runs_of_a_sweep_are_what_each_would_be_alone() -> None:
    sweep = {
        "objective": ["vae", {"name": "beta_vae", "beta": 2}],
        "training.optimizer": [{"learning_rate": 0.01}, "sgd"],
        "model.latent_dim": [3],
    }
    base = {**LEAST, "training": {"steps": 10}, "model": {"name": "burgess"}}
    for run in parse_experiment({**base, "sweep": sweep}).runs:
        alone = RunSpec.parse(with_values(base, run.swept))
        assert run.spec == alone and run.spec.document() == alone.document()
