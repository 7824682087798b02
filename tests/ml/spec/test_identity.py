from collections import defaultdict
from typing import Any

import pytest

from ml.components.registry import find
from ml.experiments.experiment import parse_experiment
from ml.reproducibility.canonical_json import canonical_json
from ml.spec.evaluation_spec import FileEvaluation
from ml.spec.identity import (
    FORMAT,
    NOT_IDENTITY,
    Identities,
    cohort_key,
    course_id,
    digest,
    evaluation_key,
    pace_key,
    train_id,
)
from ml.spec.run_spec import RunSpec

BASE: dict[str, Any] = {"dataset": "digits", "objective": {"name": "beta_vae", "beta": 4}}


def spec(**changes: Any) -> RunSpec:
    return RunSpec.parse({**BASE, **changes})


def test_canonical_json_is_one_text_for_one_value() -> None:
    assert canonical_json({"b": 1e-4, "a": [1.0, None]}) == '{"a":[1.0,null],"b":0.0001}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    "same",
    [
        {"evaluation": {"metrics": ["elbo"], "rows": 100}},
        {"traversal": {"frames": 5}},
        {"training": {"checkpoint_minutes": 9}},
        {"objective": {"name": "beta_vae", "beta": 4.0, "beta_norm": None}},
        {"model": "locatello"},
    ],
)
def test_what_does_not_change_the_weights_does_not_change_the_identity(same: Any) -> None:
    assert train_id(spec(**same)) == train_id(spec())


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"objective": {"name": "beta_vae", "beta": 4.000001}},
        {"objective": "vae"},
        {"model": "burgess"},
        {"model": {"name": "locatello", "latent_dim": 9}},
        {"training": {"steps": 299_999}},
        {"training": {"precision": "bfloat16"}},
        {"training": {"optimizer": {"name": "adam", "eps": 1e-7}}},
        {"dataset": "dsprites"},
    ],
)
def test_what_changes_the_weights_changes_the_identity(other: Any) -> None:
    assert train_id(spec(**other)) != train_id(spec())


@pytest.mark.parametrize(("kind", "name"), [("objective", "beta_vae"), ("optimizer", "adam")])
def test_a_new_version_of_a_component_is_new_work(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = train_id(spec())
    monkeypatch.setattr(find(kind, name), "version", 2)
    assert train_id(spec()) != before


def test_metrics_and_pictures_have_an_identity_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = evaluation_key(spec())
    assert evaluation_key(spec(seed=1)) == before
    assert evaluation_key(spec(evaluation={"rows": 100})) != before
    assert evaluation_key(spec(traversal={"frames": 5})) != before
    monkeypatch.setattr(find("metric", "mig"), "version", 2)
    assert evaluation_key(spec()) != before


def test_scores_of_rows_that_were_drawn_otherwise_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, file, trained = evaluation_key(spec()), FileEvaluation().key(), train_id(spec())
    # As they were when rows were drawn with replacement.
    assert not run.startswith("06edce5b") and not file.startswith("85ae9832")
    monkeypatch.setattr("ml.spec.identity.SCORING", 3)
    monkeypatch.setattr("ml.spec.evaluation_spec.SCORING", 3)
    assert evaluation_key(spec()) != run and FileEvaluation().key() != file
    assert train_id(spec()) == trained


ALL = {
    "train_id": train_id,
    "course_id": course_id,
    "cohort_key": cohort_key,
    "pace_key": pace_key,
    "evaluation_key": evaluation_key,
}
SWEEP = {
    **BASE,
    "training": {"steps": 100, "coefficients": {"beta": {"name": "warm_up", "over": 10}}},
    "sweep": {
        "seed": [0, 1],
        "objective.beta": [1, 2.5],
        "training.schedule": [{"name": "constant"}, {"name": "cosine"}],
        "evaluation.seed": [0, 1],
    },
}


def plain_identities(spec: RunSpec) -> dict[str, str | None]:
    """Each identity as one digest of one document, worked out anew."""
    training = {
        key: value
        for key, value in spec.training.model_dump(mode="json").items()
        if key not in NOT_IDENTITY
    }
    training["optimizer"] = spec.training.optimizer.identity()
    training["schedule"] = spec.training.schedule.identity()
    coefficients = spec.training.coefficients
    training["coefficients"] = {name: one.identity() for name, one in coefficients.items()}
    origin = spec.origin_spec()
    weights: dict[str, Any] = {
        "format": FORMAT,
        "dataset": spec.dataset.identity(),
        "model": spec.model.identity(),
        "objective": spec.objective.identity(),
        "training": training,
        "seed": spec.seed,
    }
    if origin is not None:
        weights["origin"] = plain_identities(origin)["train_id"]
    course = digest({**weights, "training": {**training, "steps": None}})
    stretched = any(one.stretched for one in (spec.training.schedule, *coefficients.values()))
    return {"train_id": digest(weights), "course_id": None if stretched else course}


@pytest.mark.parametrize("changes", [{}, {"origin": {"training.steps": 50, "objective.beta": 9}}])
def test_the_runs_of_a_sweep_have_the_identities_that_each_has_alone(changes: Any) -> None:
    together = Identities()
    runs = parse_experiment({**SWEEP, **changes}).runs
    found: dict[str, set[str | None]] = defaultdict(set)
    for run in runs:
        plain = plain_identities(run.spec)
        alone = RunSpec.parse(run.spec.document())
        for name, one in ALL.items():
            its = getattr(together, name)(run.spec)
            found[name].add(its)
            assert its == one(alone) == plain.get(name, its), name
    assert {name: len(ids) for name, ids in found.items()} == {
        "train_id": 8,
        "course_id": 5,
        "cohort_key": 1,
        "pace_key": 1,
        "evaluation_key": 2,
    }
