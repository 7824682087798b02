from __future__ import annotations

from typing import Any

import pytest

from store.errors import NotFound
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.jobs.finish import NewArtifact, fail, finish_evaluation, finish_training, release
from store.jobs.log import Line, add_lines, log_of_run
from store.queries import artifact, artifact_by_sha, artifacts, attempts, evaluation, run, scores
from store.states import ExperimentState, RunState
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab


def picture(name: str, digit: str) -> NewArtifact:
    return NewArtifact(name, digit * 64, "image/png", 10)


def test_a_run_goes_from_queued_to_succeeded_and_tells_each_step(lab: Lab) -> None:
    id = lab.post("a")
    run_id = lab.run_of(id)
    assert lab.experiment_state(id) is ExperimentState.QUEUED
    taken = lab.take()
    record_checkpoint(
        lab.database, taken, step=9, path="p", sha256="", size=1, width=1, device_model="cpu"
    )
    assert lab.experiment_state(id) is ExperimentState.RUNNING
    weights = NewArtifact("weights.safetensors", "a" * 64, "application/octet-stream", 5)
    finish_training(lab.database, taken, record={"device": "cpu"}, artifacts=[weights])
    assert checkpoints(lab.database, run_id) == []
    assert lab.state(run_id) is RunState.EVALUATING
    taken = lab.take(EVALUATE)
    assert evaluation(lab.database, taken.evaluation_id or "").spec["traversal"] == {"frames": 11}
    found: list[dict[str, Any]] = [
        {"name": "mig", "value": 0.25},
        {"name": "sap", "value": None, "error": "constant"},
    ]
    finish_evaluation(lab.database, taken, scores=found, artifacts=[picture("traversal.png", "b")])
    ended = run(lab.database, run_id)
    assert (ended.state, ended.record, ended.error) == (
        RunState.SUCCEEDED,
        {"device": "cpu"},
        None,
    )
    assert ended.finished_at is not None
    assert [score.document for score in scores(lab.database, run_id)] == found
    assert [file.name for file in artifacts(lab.database, run_id)] == [
        "traversal.png",
        "weights.safetensors",
    ]
    assert lab.experiment_state(id) is ExperimentState.SUCCEEDED
    assert lab.events(id) == ["run.training", "run.evaluating", "run.succeeded"]


def test_a_failure_is_recorded_with_its_cause(lab: Lab) -> None:
    id = lab.post("a", "b")
    fail(lab.database, lab.take(), ERROR)
    failed = run(lab.database, lab.links(id)[0].run_id)
    assert (failed.state, failed.error) == (RunState.FAILED, ERROR)
    assert evaluation(lab.database, lab.links(id)[0].evaluation_id).error == ERROR
    assert lab.experiment_state(id) is ExperimentState.RUNNING
    lab.train()
    lab.evaluate()
    assert lab.experiment_state(id) is ExperimentState.FAILED


def test_what_a_worker_tells_is_kept_whatever_its_letters_are(lab: Lab) -> None:
    told, kept = "half \ud800 a letter and \0", "half \ufffd a letter and \ufffd"
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    add_lines(lab.database, taken, [Line(0.0, "ERROR", "w", told)])
    release(lab.database, taken, lost=True, cause={"type": told, "message": told})
    lab.train()
    failed = [{"name": "mig", "value": None, "error": told}]
    finish_evaluation(lab.database, lab.take(EVALUATE), scores=failed)
    lab.post("a", evaluation="dci")
    fail(lab.database, lab.take(EVALUATE), {"type": told, "message": told, "advice": None})
    assert [line.message for line in log_of_run(lab.database, run_id)] == [kept]
    assert [one.document["error"] for one in scores(lab.database, run_id)] == [kept]
    causes = [one.cause for one in attempts(lab.database, [run_id])[run_id]]
    assert [cause["message"] for cause in causes if cause] == [kept, kept]


def test_a_failed_evaluation_fails_the_run(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    fail(lab.database, lab.take(EVALUATE), ERROR)
    ended = run(lab.database, lab.run_of(id))
    assert (ended.state, ended.error) == (RunState.FAILED, ERROR)


def test_a_failed_evaluation_spares_a_run_that_has_other_scores(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    lab.evaluate()
    second = lab.post("a", evaluation="dci")
    fail(lab.database, lab.take(EVALUATE), ERROR)
    ended = run(lab.database, lab.run_of(first))
    assert (ended.state, ended.error) == (RunState.SUCCEEDED, None)
    assert lab.states(first) == ["succeeded"]
    assert lab.states(second) == ["failed"]


def test_a_released_job_waits_again_and_keeps_its_checkpoints(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    record_checkpoint(
        lab.database, taken, step=9, path="p", sha256="", size=1, width=1, device_model="cpu"
    )
    release(lab.database, taken)
    waiting = run(lab.database, run_id)
    assert (waiting.state, waiting.worker) == (RunState.QUEUED, None)
    assert [row.step for row in checkpoints(lab.database, run_id)] == [9]
    again = lab.take()
    assert (again.job_id, again.attempts) == (taken.job_id, 2)


def test_a_released_evaluation_waits_again(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    release(lab.database, lab.take(EVALUATE))
    assert lab.state(lab.run_of(id)) is RunState.EVALUATING
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_the_newest_artifact_of_a_name_counts(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    lab.train()
    for evaluation_key, digit in (("mig", "1"), ("dci", "2")):
        lab.post("a", evaluation=evaluation_key)
        finish_evaluation(
            lab.database,
            lab.take(EVALUATE),
            scores=[],
            artifacts=[picture("traversal.png", digit)],
        )
    assert [file.sha256 for file in artifacts(lab.database, run_id)] == ["2" * 64]
    assert artifact(lab.database, run_id, "traversal.png").sha256 == "2" * 64
    assert artifact_by_sha(lab.database, "1" * 64).media_type == "image/png"
    with pytest.raises(NotFound, match="named 'codes"):
        artifact(lab.database, run_id, "codes.npz")
    with pytest.raises(NotFound, match="3333"):
        artifact_by_sha(lab.database, "3" * 64)


def test_training_is_not_finished_as_an_evaluation(lab: Lab) -> None:
    lab.post("a")
    with pytest.raises(ValueError, match="is for training"):
        finish_evaluation(lab.database, lab.take(TRAIN), scores=[])
