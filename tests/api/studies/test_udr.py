"""Likeness of the models of a study, from the codes that their runs left."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from api.state.context import Context
from api.studies import udr as of_api
from ml.evaluation.encode import EncodedRows
from tests.ml.many_runs import a_sweep

ROWS, LATENTS = 200, 4


def encoded(active: int, first: int = 0) -> EncodedRows:
    """The same codes of all models, of which so many latents are used."""
    codes = np.random.default_rng(0).normal(size=(ROWS, LATENTS))
    kl = np.zeros((ROWS, LATENTS))
    kl[:, :active] = 1.0
    index = np.arange(first, first + ROWS)
    return EncodedRows(
        index, index[:, None], codes, codes, codes, kl, kl[:, 0], np.array(ROWS // 2)
    )


def test_every_run_that_compares_has_its_likeness_and_the_latents_that_it_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = {
        "r-1-0": encoded(3),
        "r-1-1": encoded(3),
        # Encoded on other images than the others of its setting.
        "r-1-2": encoded(3, first=7),
        "r-64-0": encoded(1),
        "r-64-1": encoded(1),
        "r-64-2": encoded(0),
    }
    monkeypatch.setattr(of_api, "_codes", lambda here, run_id: f"active latents, {run_id}")
    monkeypatch.setattr(of_api, "_read", lambda here, digest: read[digest.split(", ")[1]])
    study = a_sweep({"objective.beta": [1, 64], "seed": [0, 1, 2]}, lambda place: {"mig": 0.5})
    found, missing = of_api.udr_of(cast(Context, None), study)
    assert missing is None and found is not None
    assert {id: one.active_latents for id, one in found.items()} == {
        "r-1-0": 3,
        "r-1-1": 3,
        "r-64-0": 1,
        "r-64-1": 1,
        "r-64-2": 0,
    }
    assert found["r-1-0"].value == pytest.approx(0.9, abs=0.05)
    assert found["r-64-2"].value == 0
