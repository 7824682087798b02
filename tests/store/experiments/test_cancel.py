from __future__ import annotations

import pytest

from store.errors import NotFound, WrongState
from store.experiments.cancel import cancel_experiment, cancel_run, resume_experiment, resume_run
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.jobs.finish import acknowledge_cancel, fail, finish_evaluation, finish_training
from store.jobs.heartbeat import beat
from store.queries import run, scores
from store.states import ExperimentState, RunState
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab


def test_a_waiting_run_ends_at_once(lab: Lab) -> None:
    id = lab.post("a")
    cancel_run(lab.database, lab.run_of(id))
    assert lab.states(id) == ["cancelled"]
    assert lab.experiment_state(id) is ExperimentState.CANCELLED
    assert lab.events(id) == ["run.cancelled"]
    assert lab.take_all(TRAIN) == []


def test_a_training_run_ends_when_its_worker_has_stopped(lab: Lab) -> None:
    id = lab.post("a")
    taken = lab.take()
    cancel_run(lab.database, lab.run_of(id))
    assert lab.states(id) == ["training"]
    assert run(lab.database, lab.run_of(id)).cancel_requested
    acknowledge_cancel(lab.database, taken)
    assert lab.states(id) == ["cancelled"]
    assert lab.take_all(TRAIN) == lab.take_all(EVALUATE) == []


def test_a_training_that_ends_before_it_hears_of_the_cancellation_is_kept(lab: Lab) -> None:
    id = lab.post("a")
    taken = lab.take()
    cancel_run(lab.database, lab.run_of(id))
    finish_training(lab.database, taken, record={})
    assert lab.states(id) == ["cancelled"]
    assert lab.take_all(EVALUATE) == []
    resume_run(lab.database, lab.run_of(id))
    assert lab.states(id) == ["evaluating"]
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_an_evaluation_is_cancelled_waiting_or_running(lab: Lab) -> None:
    id = lab.post("a", "b")
    first, second = (link.run_id for link in lab.links(id))
    lab.train()
    taken = lab.take(EVALUATE)
    assert taken.run_id == first
    cancel_run(lab.database, first)
    cancel_run(lab.database, second)
    assert lab.states(id) == ["evaluating", "cancelled"]
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    acknowledge_cancel(lab.database, taken)
    assert lab.states(id) == ["cancelled", "cancelled"]


def test_an_ended_run_cannot_be_cancelled_nor_a_live_one_resumed(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    with pytest.raises(WrongState, match="is queued; this needs one that is failed or cancelled"):
        resume_run(lab.database, run_id)
    cancel_run(lab.database, run_id)
    with pytest.raises(WrongState) as refusal:
        cancel_run(lab.database, run_id)
    assert refusal.value.state == "cancelled"
    assert refusal.value.allowed == ("queued", "training", "evaluating")


def test_what_does_not_exist_is_named(lab: Lab) -> None:
    for act, kind in (
        (cancel_run, "run"),
        (resume_run, "run"),
        (cancel_experiment, "experiment"),
        (resume_experiment, "experiment"),
    ):
        with pytest.raises(NotFound, match=f"no {kind} 'x'"):
            act(lab.database, "x")


def test_a_cancelled_experiment_keeps_what_has_ended(lab: Lab) -> None:
    id = lab.post("a", "b", "c", "d")
    finish_training(lab.database, lab.take(), record={})
    lab.evaluate()
    fail(lab.database, lab.take(), ERROR)
    taken = lab.take()
    cancel_experiment(lab.database, id)
    assert lab.states(id) == ["succeeded", "failed", "cancelled", "cancelled"]
    assert lab.experiment_state(id) is ExperimentState.FAILED
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    acknowledge_cancel(lab.database, taken)
    with pytest.raises(WrongState, match="is failed; this needs one that is queued or running"):
        cancel_experiment(lab.database, id)


def test_a_shared_run_stops_only_when_no_experiment_wants_it(lab: Lab) -> None:
    first, second = lab.post("a"), lab.post("a", evaluation="dci")
    run_id = lab.run_of(first)
    taken = lab.take()
    cancel_experiment(lab.database, first)
    assert lab.states(first) == ["cancelled"]
    assert lab.states(second) == ["training"]
    assert lab.events(first) == ["run.training", "run.cancelled"]
    assert not beat(lab.database, taken, lease_seconds=30).cancel_requested
    cancel_experiment(lab.database, second)
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    acknowledge_cancel(lab.database, taken)
    assert lab.state(run_id) is RunState.CANCELLED
    assert lab.events(first) == ["run.training", "run.cancelled"]


def test_an_evaluation_that_only_the_cancelled_experiment_wanted_is_dropped(lab: Lab) -> None:
    first, second = lab.post("a"), lab.post("a", evaluation="dci")
    cancel_experiment(lab.database, second)
    lab.train()
    [taken] = lab.take_all(EVALUATE)
    assert taken.evaluation_id == lab.links(first)[0].evaluation_id
    finish_evaluation(lab.database, taken, scores=[])
    assert lab.states(first) == ["succeeded"]
    assert lab.states(second) == ["cancelled"]


def test_what_a_cancelled_experiment_asked_for_is_not_made_when_another_takes_up_its_run(
    lab: Lab,
) -> None:
    first = lab.post("a")
    taken = lab.take()
    cancel_experiment(lab.database, first)
    # Before the worker has heard of it.
    second = lab.post("a", evaluation="dci")
    assert not beat(lab.database, taken, lease_seconds=30).cancel_requested
    finish_training(lab.database, taken, record={})
    [taken] = lab.take_all(EVALUATE)
    assert taken.evaluation_id == lab.links(second)[0].evaluation_id
    assert lab.evaluation_state(lab.links(first)[0].evaluation_id) == "cancelled"


def test_cancelling_a_second_look_leaves_the_first_ones_scores(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    lab.evaluate()
    second = lab.post("a", evaluation="dci")
    cancel_experiment(lab.database, second)
    assert lab.state(lab.run_of(first)) is RunState.SUCCEEDED
    assert len(scores(lab.database, lab.run_of(first))) == 1
    assert lab.take_all(EVALUATE) == []
    resume_experiment(lab.database, second)
    lab.evaluate()
    assert lab.states(second) == ["succeeded"]


def test_a_resumed_run_goes_on_from_its_checkpoint(lab: Lab) -> None:
    id = lab.post("a")
    run_id = lab.run_of(id)
    taken = lab.take()
    record_checkpoint(
        lab.database, taken, step=9, path="p", sha256="", size=1, width=1, device_model="cpu"
    )
    fail(lab.database, taken, ERROR)
    resume_run(lab.database, run_id)
    assert lab.events(id)[-1] == "run.queued"
    assert run(lab.database, run_id).error is None
    assert [row.step for row in checkpoints(lab.database, run_id)] == [9]
    again = lab.take()
    assert (again.job_id, again.fence) == (taken.job_id, 2)
    finish_training(lab.database, again, record={})
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_a_run_that_was_trained_resumes_with_its_evaluation(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    fail(lab.database, lab.take(EVALUATE), ERROR)
    resume_run(lab.database, lab.run_of(id))
    assert lab.states(id) == ["evaluating"]
    assert lab.take_all(TRAIN) == []
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_a_resumed_experiment_takes_up_only_what_has_not_succeeded(lab: Lab) -> None:
    id = lab.post("a", "b", "c")
    finish_training(lab.database, lab.take(), record={})
    lab.evaluate()
    fail(lab.database, lab.take(), ERROR)
    cancel_experiment(lab.database, id)
    resume_experiment(lab.database, id)
    assert lab.states(id) == ["succeeded", "queued", "queued"]
    lab.train()
    lab.evaluate()
    assert lab.experiment_state(id) is ExperimentState.SUCCEEDED
    with pytest.raises(WrongState, match="is succeeded; this needs one that is failed or"):
        resume_experiment(lab.database, id)


def test_resuming_withdraws_a_cancellation_that_was_not_carried_out(lab: Lab) -> None:
    id = lab.post("a")
    taken = lab.take()
    cancel_experiment(lab.database, id)
    resume_experiment(lab.database, id)
    assert lab.states(id) == ["training"]
    assert not beat(lab.database, taken, lease_seconds=30).cancel_requested
    assert lab.events(id) == ["run.training", "run.cancelled", "run.training"]
