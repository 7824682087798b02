"""Specs whose data set cannot give the batches that training needs."""

from __future__ import annotations

from typing import Any

import pytest

from ml.components.spec_errors import InvalidSpec
from ml.spec.run_spec import RunSpec

CORRELATED = {"correlated": [{"factors": ["shape", "scale"], "sigma": 0.2}]}


def parsed(objective: Any, *, sampling: str = "with_replacement", **params: Any) -> RunSpec:
    return RunSpec.parse(
        {
            "dataset": {"name": "dsprites", **params},
            "model": {"latent_dim": 4},
            "objective": objective,
            "training": {"sampling": sampling},
        }
    )


@pytest.mark.parametrize(
    ("objective", "params", "path", "said"),
    [
        ({"name": "ada_gvae", "changed": 6}, {}, "objective", "changed of at most 5"),
        (
            {"name": "ada_ml_vae", "changed": 2},
            {"keep_factors": ["shape"]},
            "objective",
            "changed of at most 1, as the factors are shape",
        ),
        (
            {"name": "ada_ml_vae", "changed": 2},
            {"keep_factors": ["shape", "scale"], "only": {"scale": [3]}},
            "objective",
            "changed of at most 1, as the factors are shape",
        ),
        ({"name": "ada_gvae", "known": True}, {}, "objective", "not 4 latents"),
        ("semi_supervised", {}, "objective", "posX, posY, not 4 latents"),
        ({"name": "semi_supervised", "factors": ["hue"]}, {}, "objective", "factors hue"),
        ("beta_vae", {**CORRELATED, "sampling": "epochs"}, "training.sampling", "correlated"),
    ],
)
def test_batches_that_cannot_be_are_refused(
    objective: Any, params: dict[str, Any], path: str, said: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parsed(objective, **params)
    [fault] = caught.value.faults
    assert fault.path == path and said in str(fault.expected)


@pytest.mark.parametrize(
    ("objective", "params"),
    [
        ("ada_gvae", {}),
        ("ada_gvae", {"keep_factors": ["shape"], "without": [{"shape": [2]}]}),
        ({"name": "semi_supervised", "factors": ["shape", "posX"]}, CORRELATED),
        ({"name": "semi_supervised", "factors": ["posY"], "head": "linear"}, {}),
        # Which factors still vary is known once the data are open.
        ("semi_supervised", {"without": [{"shape": [1, 2]}]}),
        ("beta_vae", {"sampling": "epochs"}),
    ],
)
def test_batches_that_may_be_are_taken(objective: Any, params: dict[str, Any]) -> None:
    assert parsed(objective, **params).objective.name
