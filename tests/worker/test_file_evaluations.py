"""Evaluations of files, from the queue to their scores, and whatever may come between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ml.evaluation.score import score
from store.experiments.evaluations import cancel_evaluation, resume_evaluation
from store.states import EvaluationState
from tests.npz import CODES, FACTORS, npz
from tests.worker.workplace import PATIENCE, Workplace, flip_a_bit, meanwhile, on_sqlite, until
from worker.evaluation import evaluate_next
from worker.process import draining

QUEUED, RUNNING = EvaluationState.QUEUED, EvaluationState.RUNNING
SUCCEEDED, CANCELLED = EvaluationState.SUCCEEDED, EvaluationState.CANCELLED

LONG = {
    "metrics": [{"name": "mig", "bins": 2 + number} for number in range(40)],
    "uncertainty": False,
}
"""Many metrics, between any two of which something may happen."""


@pytest.fixture
def drained() -> Iterator[None]:
    """A worker that may be told to end, and is as new afterwards."""
    yield
    draining._flag[0] = 0


def without_time(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in document.items() if key != "seconds"}
        for document in documents
    ]


METRICS: list[Any] = ["mig", {"name": "sap", "predictor": "correlation"}]
OPTIONS: dict[str, Any] = {
    "seed": 7,
    "train_rows": 40,
    "factor_names": ["shape", "hue"],
    "factor_kinds": ["discrete", "continuous"],
}


def test_a_file_is_read_as_its_evaluation_says(workplace: Workplace) -> None:
    held = {"z": CODES, "mu": CODES + 1, "y": FACTORS.astype(float)}
    asked = {"metrics": ["mig"], "codes_array": "z", "uncertainty": False}
    id = workplace.send(npz(codes=None, factors=None, **held), **asked)
    assert evaluate_next()
    [mig] = workplace.scores(id)
    [expected] = score(CODES, FACTORS, "mig", uncertainty=False)
    assert mig["value"] == expected.value


def test_a_file_is_scored_as_its_arrays_are(workplace: Workplace) -> None:
    id = workplace.send(
        npz(posterior_logvar=-np.ones_like(CODES), factor_names=np.array(["size", "hue"])),
        metrics=[*METRICS, "elbo"],
        **OPTIONS,
    )
    assert evaluate_next()
    assert not evaluate_next()
    assert workplace.evaluation(id).state is SUCCEEDED
    found = workplace.scores(id)
    assert [one["metric"] for one in found[:1]] == ["mig"]
    assert found[0]["details"]["factors"] == ["shape", "hue"]
    # Without elbo, which needs the images and would raise there.
    expected = score(CODES, FACTORS, METRICS, posterior_logvar=-np.ones_like(CODES), **OPTIONS)
    kept = [one for one in found if one["metric"] != "elbo"]
    assert without_time(kept) == without_time([one.model_dump(mode="json") for one in expected])
    assert workplace.evaluation(id).progress == {
        "stage": "scoring",
        "step": 3,
        "steps": 3,
        "images_per_second": None,
        "eta_seconds": None,
        "loss": None,
    }


@on_sqlite
def test_without_uncertainty_only_values_are_computed(workplace: Workplace) -> None:
    ids = [
        workplace.send(npz(), metrics=["mig"], uncertainty=uncertainty)
        for uncertainty in (True, False)
    ]
    assert evaluate_next() and evaluate_next()
    [full], [plain] = (workplace.scores(id) for id in ids)
    assert full["value"] == plain["value"]
    assert full["null"] is not None and plain["null"] is None


@on_sqlite
def test_what_one_metric_meets_is_its_own_affair(workplace: Workplace) -> None:
    factors = FACTORS.copy()
    factors[:, 1] = 4
    id = workplace.send(npz(factors=factors), metrics=["mig", "elbo"])
    assert evaluate_next()
    assert workplace.evaluation(id).state is SUCCEEDED
    found = workplace.scores(id)
    assert {one["metric"] for one in found} == {"mig", "elbo"}
    assert all(one["value"] is None for one in found)
    assert "ConstantFactor: factor 'factor_1' (column 1)" in found[0]["error"]


def test_a_file_whose_worker_was_killed_is_scored_by_another(workplace: Workplace) -> None:
    id = workplace.send(npz(), **LONG)
    with workplace.another_process(evaluate_next) as process:
        until(lambda: (workplace.evaluation(id).progress or {}).get("step"))
        process.kill()
        process.join()
    assert workplace.evaluation(id).state is RUNNING
    assert workplace.scores(id) == []
    workplace.take_back(evaluation_id=id)
    assert workplace.evaluation(id).state is QUEUED
    assert evaluate_next()
    assert workplace.evaluation(id).state is SUCCEEDED
    assert [one["params"]["bins"] for one in workplace.scores(id)] == [*range(2, 42)]


@on_sqlite
def test_a_draining_worker_queues_the_file_again(
    workplace: Workplace, drained: None, slow_steps: None
) -> None:
    id = workplace.send(npz(), **LONG)
    with meanwhile(evaluate_next) as work:
        until(lambda: (workplace.evaluation(id).progress or {}).get("step"))
        draining.begin()
        assert work.result(timeout=PATIENCE)
    assert workplace.evaluation(id).state is QUEUED
    draining._flag[0] = 0
    assert evaluate_next()
    assert len(workplace.scores(id)) == 40


@on_sqlite
def test_cancelling_stops_the_scoring_between_metrics(
    workplace: Workplace, slow_steps: None
) -> None:
    id = workplace.send(npz(), **LONG)
    with meanwhile(evaluate_next) as work:
        until(lambda: (workplace.evaluation(id).progress or {}).get("step"))
        cancel_evaluation(workplace.stores.database, id)
        assert work.result(timeout=PATIENCE)
    assert workplace.evaluation(id).state is CANCELLED
    assert workplace.scores(id) == []
    assert not evaluate_next()
    resume_evaluation(workplace.stores.database, id)
    assert evaluate_next()
    assert workplace.evaluation(id).state is SUCCEEDED


@on_sqlite
def test_a_file_that_is_gone_fails_the_evaluation_and_not_the_worker(workplace: Workplace) -> None:
    id = workplace.send(npz())
    sha256 = _sha256(workplace, id)
    workplace.stores.objects.path(sha256).unlink()
    assert evaluate_next()
    found = workplace.evaluation(id)
    assert found.state is EvaluationState.FAILED
    assert found.error is not None and found.error["type"] == "ObjectGone"
    assert sha256 in found.error["message"] and "backup" in found.error["advice"]


def test_a_flipped_bit_fails_the_evaluation_and_sending_the_file_again_heals_it(
    workplace: Workplace,
) -> None:
    id = workplace.send(npz(), metrics=["mig"])
    flip_a_bit(workplace.stores.objects.path(_sha256(workplace, id)))
    assert evaluate_next()
    error = workplace.evaluation(id).error
    assert error is not None and error["type"] == "DamagedObject"

    assert workplace.send(npz(), metrics=["mig"]) == id
    assert evaluate_next()
    assert workplace.evaluation(id).state is EvaluationState.SUCCEEDED


def _sha256(workplace: Workplace, evaluation_id: str) -> str:
    file = workplace.evaluation(evaluation_id).file
    assert file is not None
    return file.sha256
