"""Presets have what their works had, by values that are written down here once more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ml.components.registry import UnknownComponent, components
from ml.components.spec_errors import InvalidSpec
from ml.experiments.experiment import changed, parse_experiment
from ml.experiments.presets.preset import Choices, Preset, preset, presets, read_preset

RUNS = {
    # six methods x six values x fifty seeds, on each data set
    "locatello2019": 6 * 6 * 50,
    # two methods x six values x five seeds
    "chen2018": 2 * 6 * 5,
    "kim2018": 2 * 6 * 5,
    # beta 1 and 4 x five seeds
    "higgins2017": 2 * 5,
    "burgess2018": 1,
    # two methods x fifteen runs, on each data set
    "factorvae_dci": 2 * 15,
    # five betas x five seeds
    "tutorial": 5 * 5,
}

PAGE = Path(__file__).parents[4] / "docs" / "presets.md"

STUDY: dict[str, tuple[str, list[float]]] = {
    "beta_vae": ("beta", [1, 2, 4, 6, 8, 16]),
    "factor_vae": ("gamma", [10, 20, 30, 40, 50, 100]),
    "dip_vae_i": ("lambda_od", [1, 2, 5, 10, 20, 50]),
    "dip_vae_ii": ("lambda_od", [1, 2, 5, 10, 20, 50]),
    "beta_tcvae": ("beta", [1, 2, 4, 6, 8, 10]),
    "annealed_vae": ("capacity", [5, 10, 25, 50, 75, 100]),
}
"""The values of Locatello et al., in the order of their sweep."""


def test_there_are_these_presets() -> None:
    assert list(presets()) == sorted(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_preset_plans_what_its_work_had(name: str) -> None:
    found = preset(name)
    experiment = parse_experiment(found.spec, remote=True)
    assert len(experiment.runs) == found.runs == RUNS[name]
    assert experiment.name == name


@pytest.mark.parametrize("name", RUNS)
def test_each_data_set_of_a_preset_that_there_is_can_be_chosen(name: str) -> None:
    found = preset(name)
    for dataset in set(found.datasets) & set(components("dataset")):
        chosen = found.with_choices(Choices(dataset=dataset, seeds=1))
        try:
            runs = parse_experiment(chosen.spec, remote=True).runs
        except InvalidSpec as error:
            # It is read from an operator's file, which is not there.
            assert {fault.path for fault in error.faults} == {"dataset.path"}
        else:
            assert {run.spec.dataset.name for run in runs} == {dataset}


@pytest.mark.parametrize("name", RUNS)
def test_the_plots_to_look_at_are_those_of_studies_with_their_params(name: str) -> None:
    for look in preset(name).look:
        plot = components("plot")[look.plot]
        assert plot.of == "study"  # type: ignore[attr-defined]
        plot.model_validate({"name": look.plot, **look.params})


def test_the_study_of_locatello_is_complete() -> None:
    runs = parse_experiment(preset("locatello2019").spec).runs
    assert sorted({run.spec.seed for run in runs}) == list(range(50))
    swept: dict[str, list[float]] = {}
    for run in runs:
        objective = run.spec.objective.model_dump()
        if run.spec.seed == 0:
            param, _ = STUDY[objective["name"]]
            swept.setdefault(objective["name"], []).append(objective[param])
        if objective["name"] == "dip_vae_i":
            assert objective["lambda_d"] == 10 * objective["lambda_od"]
        if objective["name"] == "dip_vae_ii":
            assert objective["lambda_d"] == objective["lambda_od"]
        if objective["name"] == "annealed_vae":
            assert (objective["gamma"], objective["anneal_steps"]) == (1000, 100_000)
        if objective["name"] == "beta_tcvae":
            assert (objective["alpha"], objective["gamma"]) == (1, 1)
            assert objective["estimator"] == "minibatch"
        if objective["name"] == "factor_vae":
            assert objective["permute"] == "same_batch"
            assert objective["discriminator_learning_rate"] == 1e-4
    assert swept == {name: values for name, (_, values) in STUDY.items()}
    assert list(swept) == list(STUDY)
    # The study numbers its models likewise: seeds change first.
    assert [run.spec.seed for run in runs] == [*range(50)] * 36


@pytest.mark.parametrize(
    ("name", "model", "steps", "batch", "rate", "sampling"),
    [
        ("locatello2019", "locatello", 300_000, 64, 1e-4, "with_replacement"),
        # 50 epochs of 737,280 / 2,048 = 360 batches
        ("chen2018", "chen_mlp", 50 * 360, 2048, 1e-3, "epochs"),
        ("kim2018", "conv", 300_000, 64, 1e-4, "with_replacement"),
        ("higgins2017", "chen_mlp", 300_000, 64, 1e-4, "with_replacement"),
        ("burgess2018", "burgess", 300_000, 64, 5e-4, "with_replacement"),
        ("factorvae_dci", "locatello", 300_000, 64, 1e-4, "with_replacement"),
        ("tutorial", "burgess", 2_000, 32, 1e-3, "with_replacement"),
    ],
)
def test_models_are_trained_as_in_the_work(
    name: str, model: str, steps: int, batch: int, rate: float, sampling: str
) -> None:
    for run in parse_experiment(preset(name).spec).runs:
        training = run.spec.training.model_dump()
        assert (training["steps"], training["batch_size"]) == (steps, batch)
        optimizer = training["optimizer"]
        assert (optimizer["name"], optimizer["learning_rate"]) == ("adam", rate)
        assert (tuple(optimizer["betas"]), optimizer["eps"]) == ((0.9, 0.999), 1e-8)
        assert optimizer["weight_decay"] == 0 and training["gradient_clip"] is None
        assert (training["sampling"], training["likelihood"]) == (sampling, "bernoulli")
        assert (run.spec.model.name, run.spec.model.latent_dim) == (model, 10)


def test_a_capacity_of_burgess_grows_to_25_nats_in_100_000_steps() -> None:
    [run] = parse_experiment(preset("burgess2018").spec).runs
    objective = run.spec.objective.model_dump()
    assert [objective[one] for one in ("capacity", "gamma", "anneal_steps")] == [25, 1000, 100_000]


def test_the_page_of_presets_has_each_with_its_runs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(runs.replace(",", "")) for name, runs in rows} == RUNS


def test_every_sentence_ends_and_every_file_names_a_source() -> None:
    for found in presets().values():
        assert found.places and found.differs
        for sentence in [found.summary, *found.places, *found.differs]:
            assert re.search(r"[.)]$", sentence), sentence


def test_choices_change_the_data_set_and_the_seeds_of_a_copy() -> None:
    found = preset("locatello2019")
    chosen = found.with_choices(Choices(dataset="digits", seeds=5))
    assert (chosen.spec["dataset"], chosen.runs) == ("digits", 6 * 6 * 5)
    assert chosen.spec["sweep"]["seed"] == [0, 1, 2, 3, 4]
    assert found.spec["dataset"] == "dsprites" and found.runs == 1800
    assert found.with_choices(Choices()) == found


def test_a_preset_may_be_changed_like_any_spec() -> None:
    chosen = preset("tutorial").with_choices(Choices(dataset="digits", seeds=2))
    spec = changed(chosen.spec, {"training.steps": 50, "sweep.objective.beta": [1, 4]})
    runs = parse_experiment(spec).runs
    assert len(runs) == 4 and {run.spec.training.steps for run in runs} == {50}


def test_a_name_that_is_not_known_gives_the_nearest() -> None:
    with pytest.raises(UnknownComponent, match="locatelo2019") as caught:
        preset("locatelo2019")
    assert caught.value.nearest == "locatello2019"


def test_a_data_set_that_is_not_known_is_refused_with_the_spec() -> None:
    chosen = preset("tutorial").with_choices(Choices(dataset="dsprite"))
    with pytest.raises(InvalidSpec) as caught:
        parse_experiment(chosen.spec)
    assert [(fault.path, fault.nearest) for fault in caught.value.faults] == [
        ("dataset.name", "dsprites")
    ]


GOOD: dict[str, Any] = {
    "name": "mine",
    "summary": "A test.",
    "source": "Author, 2020, https://example.org",
    "places": ["Here."],
    "differs": ["Nothing."],
    "datasets": ["digits"],
    "spec": {"dataset": "digits", "objective": "vae"},
}


def test_a_preset_without_a_sweep_is_one_run() -> None:
    found = Preset.model_validate(GOOD)
    assert found.runs == 1
    assert found.with_choices(Choices(seeds=3)).spec["sweep"] == {"seed": [0, 1, 2]}


@pytest.mark.parametrize(
    ("field", "value"),
    [("source", "somewhere"), ("datasets", []), ("summary", ""), ("name", "My preset")],
)
def test_a_file_that_is_no_preset_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Preset.model_validate(GOOD | {field: value})


def test_a_file_has_the_name_of_its_preset_and_the_numbers_of_yaml_1_2(tmp_path: Path) -> None:
    lines = [
        "name: mine",
        "summary: A test.",
        'source: "Author, 2020, https://example.org"',
        "places: []",
        "differs: []",
        "datasets: [digits]",
        "spec: {rate: 1e-4}",
    ]
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(lines))
    assert read_preset(file).spec == {"rate": 1e-4}
    with pytest.raises(ValueError, match="named after it"):
        read_preset(file.rename(tmp_path / "other.yaml"))


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("higgins2017", {"beta_vae_score"}),
        ("kim2018", {"factor_vae_score"}),
        ("factorvae_dci", {"factor_vae_score", "dci"}),
        ("chen2018", {"mig_posterior", "elbo"}),
        (
            "locatello2019",
            {"beta_vae_score", "factor_vae_score", "mig", "sap", "dci", "modularity", "irs"},
        ),
    ],
)
def test_a_preset_has_the_scores_that_its_work_reports(name: str, metrics: set[str]) -> None:
    run = parse_experiment(preset(name).spec, remote=True).runs[0]
    assert metrics <= {one.name for one in run.spec.evaluation.metrics}  # type: ignore[attr-defined]
    assert not any("lacks" in one and "score" in one for one in preset(name).differs)
