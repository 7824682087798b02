from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
import torch

from store import queries
from store.experiments.cancel import resume_run
from store.states import EvaluationState, JobState, RunState
from tests.worker.workplace import Trained, Workplace, on_sqlite, spec
from worker.evaluation import evaluate_next
from worker.lease.outcome import error_document
from worker.training import train_next

HOT = {"name": "adam", "learning_rate": 100.0}


def error_of(workplace: Workplace, run_id: str) -> dict[str, Any]:
    error = workplace.run(run_id).error
    assert error is not None
    return error


def test_a_loss_that_is_not_finite_fails_the_run_with_advice(workplace: Workplace) -> None:
    run_id = workplace.post(spec(optimizer=HOT, checkpoint_minutes=2))
    assert train_next()
    assert workplace.run(run_id).state is RunState.FAILED
    assert workplace.job(run_id).state is JobState.FAILED
    error = error_of(workplace, run_id)
    assert error["type"] == "NonFiniteLoss"
    assert "not finite at step" in error["message"]
    assert "learning_rate" in error["advice"]
    # The way there can be seen, up to the step before.
    steps = [step for step, _ in workplace.curves(run_id)["loss"]]
    assert steps
    assert f"not finite at step {steps[-1]}:" in error["message"]


@on_sqlite
def test_an_unknown_error_fails_the_run_and_not_the_worker(
    workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    with monkeypatch.context() as broken:
        broken.setattr("worker.training.train_cohort", _raise(ZeroDivisionError("by nought")))
        assert train_next()
    assert workplace.run(run_id).state is RunState.FAILED
    error = {"type": "ZeroDivisionError", "message": "by nought", "advice": None}
    assert error_of(workplace, run_id) == error

    resume_run(workplace.stores.database, run_id)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@on_sqlite
def test_memory_that_ran_out_has_one_name_and_advice(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    monkeypatch.setattr("worker.training.train_cohort", _raise(_no_memory_of_torch()))
    assert train_next()
    error = error_of(workplace, run_id)
    assert error["type"] == "OutOfMemory"
    assert "allocate" in error["message"]
    assert "batch_size" in error["advice"] and "HEDDLE_COHORT_WIDTH" in error["advice"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_every_librarys_word_for_no_memory_is_known(error: Exception) -> None:
    assert error_document(error)["type"] == "OutOfMemory"


def test_numpys_word_for_no_memory_is_known() -> None:
    with pytest.raises(MemoryError) as refused:
        np.empty((1 << 62,), dtype=np.uint8)
    assert error_document(refused.value)["type"] == "OutOfMemory"


def test_what_is_not_memory_keeps_its_name() -> None:
    assert error_document(RuntimeError("shapes"))["type"] == "RuntimeError"
    assert error_document(OSError(errno.ENOENT, "No such file"))["type"] == "FileNotFoundError"


@on_sqlite
def test_an_error_in_an_evaluation_fails_the_run_with_its_cause(
    workplace: Workplace, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post(spec(steps=2))
    train_next()
    with monkeypatch.context() as broken:
        broken.setattr("worker.evaluation.score_encoded", _raise(KeyError("factors")))
        assert evaluate_next()
    assert workplace.run(run_id).state is RunState.FAILED
    assert error_of(workplace, run_id)["type"] == "KeyError"
    [evaluation] = queries.evaluations(workplace.stores.database, run_id)
    assert evaluation.state is EvaluationState.FAILED
    assert queries.scores(workplace.stores.database, run_id) == []

    resume_run(workplace.stores.database, run_id)
    assert not train_next()
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED


def _no_memory_of_torch() -> Exception:
    with pytest.raises(RuntimeError) as refused:
        torch.empty((1 << 60,), dtype=torch.uint8)
    return refused.value


def _raise(error: Exception) -> Any:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    return fails
