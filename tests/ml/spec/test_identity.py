from typing import Any

import pytest

from ml.components.registry import find
from ml.reproducibility.canonical_json import canonical_json
from ml.spec.evaluation_spec import FileEvaluation
from ml.spec.identity import evaluation_key, train_id
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
