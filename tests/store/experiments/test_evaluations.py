"""Evaluations that are asked for by themselves: of files, and of runs once more."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import store.experiments.evaluations as asking
from store.database.connection import Database
from store.database.tables import Job
from store.errors import LeaseLost, NotFound, NotTrained, WrongState
from store.experiments.cancel import cancel_experiment, cancel_run, resume_run
from store.experiments.evaluations import Asked, cancel_evaluation, resume_evaluation
from store.jobs.claim import Claim, claim
from store.jobs.finish import acknowledge_cancel, fail, finish_evaluation, release
from store.jobs.heartbeat import beat
from store.jobs.reaper import Reaped, reap
from store.queries import (
    evaluation,
    evaluations,
    evaluations_of_files,
    scores,
    scores_of_evaluation,
)
from store.retention.delete import delete_evaluation
from store.states import EvaluationState, RunState
from tests.store.jobs.test_fence import everything
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab


def trained(lab: Lab) -> tuple[str, str]:
    """An experiment whose only run has its scores, and that run."""
    experiment_id = lab.post("a")
    lab.train()
    lab.evaluate()
    return experiment_id, lab.run_of(experiment_id)


# Of files


def test_a_file_is_evaluated_and_its_scores_are_kept(lab: Lab) -> None:
    asked = lab.send()
    assert not asked.reused
    assert lab.evaluation_state(asked.id) == "queued"
    taken = lab.take(EVALUATE)
    assert (taken.run_id, taken.evaluation_id, taken.kind) == (None, asked.id, EVALUATE)
    assert lab.evaluation_state(asked.id) == "running"
    beat(lab.database, taken, lease_seconds=30, progress={"stage": "scoring", "step": 1})
    assert evaluation(lab.database, asked.id).progress == {"stage": "scoring", "step": 1}
    finish_evaluation(lab.database, taken, scores=[{"value": 0.5}, {"value": 0.25}])
    found = evaluation(lab.database, asked.id)
    assert (str(found.state), found.run_id, found.error) == ("succeeded", None, None)
    assert found.file is not None and found.file.name == "codes.npz"
    assert found.finished_at is not None and found.created_at <= found.finished_at
    left = scores_of_evaluation(lab.database, asked.id)
    assert [score.document["value"] for score in left] == [0.5, 0.25]
    assert lab.take_all(EVALUATE) == []


def test_the_same_of_the_same_file_is_made_once(lab: Lab) -> None:
    first = lab.send()
    assert lab.send() == Asked(first.id, reused=True)
    lab.evaluate()
    assert lab.send() == Asked(first.id, reused=True)
    assert lab.take_all(EVALUATE) == []
    other_key, other_content = lab.send(key="dci"), lab.send("other")
    assert not other_key.reused and not other_content.reused
    assert len({first.id, other_key.id, other_content.id}) == 3


def test_many_who_send_the_same_at_once_get_one_evaluation(lab: Lab) -> None:
    barrier = threading.Barrier(6)
    asked: list[Asked] = []

    def send() -> None:
        barrier.wait()
        asked.append(lab.send())

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(one.reused for one in asked) == {True: 5, False: 1}
    assert len({one.id for one in asked}) == 1
    with lab.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_one_that_failed_or_was_cancelled_is_made_when_it_is_asked_for_again(lab: Lab) -> None:
    id = lab.send().id
    fail(lab.database, lab.take(EVALUATE), ERROR)
    assert evaluation(lab.database, id).error == ERROR
    assert lab.send() == Asked(id, reused=True)
    assert evaluation(lab.database, id).error is None
    cancel_evaluation(lab.database, id)
    assert lab.evaluation_state(id) == "cancelled"
    assert lab.send() == Asked(id, reused=True)
    lab.evaluate()
    assert lab.evaluation_state(id) == "succeeded"


def test_asking_for_what_a_worker_is_making_leaves_it_to_the_worker(lab: Lab) -> None:
    id = lab.send().id
    taken = lab.take(EVALUATE)
    lab.send()
    assert lab.evaluation_state(id) == "running"
    assert lab.take_all(EVALUATE) == []
    finish_evaluation(lab.database, taken, scores=[])
    assert lab.evaluation_state(id) == "succeeded"


def test_files_and_runs_wait_in_one_queue_by_priority_then_age(lab: Lab) -> None:
    first = lab.send("first").id
    lab.post("a")
    lab.train()
    last = lab.send("last").id
    urgent = lab.send("urgent", priority=5).id
    assert [taken.evaluation_id for taken in lab.take_all(EVALUATE, width=2)] == [urgent, first]
    of_run = lab.take(EVALUATE)
    assert of_run.run_id is not None
    assert lab.take(EVALUATE).evaluation_id == last


def test_many_workers_at_once_never_share_an_evaluation(lab: Lab) -> None:
    lab.post(*(f"run {number}" for number in range(15)))
    lab.train()
    for number in range(15):
        lab.send(f"file {number}")
    taken: list[str] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(5)

    def work(name: str) -> None:
        barrier.wait()
        idle = 0
        try:
            while idle < 20:
                claims = claim(lab.database, EVALUATE, worker=name, lease_seconds=30)
                # Others' locks may leave nothing for a moment; a worker would get another hint.
                idle = 0 if claims else idle + 1
                taken.extend(found.job_id for found in claims)
                for found in claims:
                    finish_evaluation(lab.database, found, scores=[{"value": 1.0}])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(taken) == 30
    assert set(Counter(taken).values()) == {1}


def test_a_worker_that_fell_silent_loses_the_file_to_another(lab: Lab) -> None:
    id = lab.send().id
    lab.take(EVALUATE, lease=-1)
    assert reap(lab.database, max_losses=3) == Reaped(
        requeued=1, failed=0, cancelled=0, waiting={TRAIN: 0, EVALUATE: 1}
    )
    assert lab.evaluation_state(id) == "queued"
    assert lab.take(EVALUATE).fence == 2


def test_a_file_that_kills_its_workers_fails_with_that_cause_and_can_be_resumed(lab: Lab) -> None:
    id = lab.send().id
    for number in range(3):
        lab.take(EVALUATE, worker=f"w{number}", lease=-1)
        reap(lab.database, max_losses=3)
    failed = evaluation(lab.database, id)
    assert str(failed.state) == "failed"
    assert failed.error is not None and failed.error["type"] == "WorkerLost"
    resume_evaluation(lab.database, id)
    lab.take(EVALUATE, lease=-1)
    assert reap(lab.database, max_losses=3).requeued == 1
    lab.evaluate()
    assert lab.evaluation_state(id) == "succeeded"


WRITES: dict[str, Callable[[Database, Claim], object]] = {
    "beat": lambda database, claim: beat(database, claim, lease_seconds=30, progress={"step": 7}),
    "release": release,
    "fail": lambda database, claim: fail(database, claim, ERROR),
    "cancel": acknowledge_cancel,
    "finish": lambda database, claim: finish_evaluation(database, claim, scores=[{"value": 1.0}]),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_a_worker_writes_late_is_refused_and_leaves_no_mark(lab: Lab, name: str) -> None:
    lab.send()
    stale = lab.take(EVALUATE, lease=-1)
    reap(lab.database, max_losses=3)
    newer = None
    for _ in ("while the job waits", "while another works on it"):
        before = everything(lab.database)
        with pytest.raises(LeaseLost):
            WRITES[name](lab.database, stale)
        assert everything(lab.database) == before
        newer = newer or lab.take(EVALUATE)
    assert newer is not None
    finish_evaluation(lab.database, newer, scores=[])
    before = everything(lab.database)
    for late in (stale, newer):
        with pytest.raises(LeaseLost):
            WRITES[name](lab.database, late)
    assert everything(lab.database) == before


def test_a_waiting_file_is_cancelled_at_once_and_a_running_one_when_its_worker_stops(
    lab: Lab,
) -> None:
    waiting, running = lab.send("waiting"), lab.send("running", priority=1)
    taken = lab.take(EVALUATE)
    for asked in (waiting, running):
        cancel_evaluation(lab.database, asked.id)
    assert lab.evaluation_state(waiting.id) == "cancelled"
    assert lab.evaluation_state(running.id) == "running"
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    acknowledge_cancel(lab.database, taken)
    assert lab.evaluation_state(running.id) == "cancelled"
    assert lab.take_all(EVALUATE) == []
    resume_evaluation(lab.database, waiting.id)
    assert [again.evaluation_id for again in lab.take_all(EVALUATE)] == [waiting.id]


def test_a_cancelled_file_whose_worker_was_lost_ends(lab: Lab) -> None:
    id = lab.send().id
    lab.take(EVALUATE, lease=-1)
    cancel_evaluation(lab.database, id)
    assert reap(lab.database, max_losses=3).cancelled == 1
    assert lab.evaluation_state(id) == "cancelled"


def test_resuming_before_the_worker_has_stopped_lets_it_go_on(lab: Lab) -> None:
    id = lab.send().id
    taken = lab.take(EVALUATE)
    cancel_evaluation(lab.database, id)
    assert lab.send().id == id
    assert not beat(lab.database, taken, lease_seconds=30).cancel_requested
    finish_evaluation(lab.database, taken, scores=[])
    assert lab.evaluation_state(id) == "succeeded"


def test_what_has_ended_is_not_cancelled_and_what_has_succeeded_not_resumed(lab: Lab) -> None:
    id = lab.send().id
    with pytest.raises(WrongState, match="is queued; this needs one that is failed or cancelled"):
        resume_evaluation(lab.database, id)
    lab.evaluate()
    for act in (cancel_evaluation, resume_evaluation):
        with pytest.raises(WrongState, match="is succeeded"):
            act(lab.database, id)
        with pytest.raises(NotFound, match="no evaluation 'x'"):
            act(lab.database, "x")


def test_the_list_of_files_walks_everything_once_and_holds_no_run(lab: Lab) -> None:
    trained(lab)
    sent = [lab.send(f"file {number}").id for number in range(5)]
    first = evaluations_of_files(lab.database, limit=3)
    second = evaluations_of_files(lab.database, limit=3, cursor=first.next_cursor)
    assert second.next_cursor is None
    assert [found.id for found in [*first.items, *second.items]] == sent[::-1]


# Of runs


def test_a_trained_run_is_evaluated_again_and_keeps_its_scores(lab: Lab) -> None:
    experiment_id, run_id = trained(lab)
    heard = lab.events(experiment_id)
    asked = lab.evaluate_again(run_id, "dci")
    assert not asked.reused
    assert lab.state(run_id) is RunState.EVALUATING
    assert lab.states(experiment_id) == ["succeeded"]
    taken = lab.take(EVALUATE)
    assert (taken.run_id, taken.evaluation_id) == (run_id, asked.id)
    finish_evaluation(lab.database, taken, scores=[{"name": "dci"}])
    assert lab.state(run_id) is RunState.SUCCEEDED
    assert [one.document["name"] for one in scores(lab.database, run_id)] == ["mig", "dci"]
    assert [one.evaluation_key for one in evaluations(lab.database, run_id)] == ["mig", "dci"]
    # The experiment has its scores, and hears nothing of others'.
    assert lab.events(experiment_id) == heard
    assert lab.experiment_state(experiment_id) == "succeeded"


def test_what_was_asked_of_a_run_before_is_not_made_again(lab: Lab) -> None:
    _, run_id = trained(lab)
    [own] = evaluations(lab.database, run_id)
    assert lab.evaluate_again(run_id, "mig") == Asked(own.id, reused=True)
    assert lab.state(run_id) is RunState.SUCCEEDED
    assert lab.take_all(EVALUATE) == []
    new = lab.evaluate_again(run_id, "dci")
    assert lab.evaluate_again(run_id, "dci") == Asked(new.id, reused=True)
    assert len(lab.take_all(EVALUATE)) == 1


@pytest.mark.parametrize("how", ["queued", "training", "failed", "cancelled"])
def test_a_run_without_a_trained_model_is_refused(lab: Lab, how: str) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = None if how in ("queued", "cancelled") else lab.take()
    if how == "cancelled":
        cancel_run(lab.database, run_id)
    elif how == "failed" and taken is not None:
        fail(lab.database, taken, ERROR)
    before = everything(lab.database)
    with pytest.raises(NotTrained, match=f"{run_id} is {how} and not trained"):
        lab.evaluate_again(run_id, "dci")
    assert everything(lab.database) == before
    with pytest.raises(NotFound, match="no run 'x'"):
        lab.evaluate_again("x", "dci")


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_trained_run_that_ended_without_scores_gets_some(lab: Lab, how: str) -> None:
    experiment_id = lab.post("a")
    run_id = lab.run_of(experiment_id)
    lab.train()
    if how == "failed":
        fail(lab.database, lab.take(EVALUATE), ERROR)
    else:
        cancel_run(lab.database, run_id)
    lab.evaluate_again(run_id, "dci")
    assert lab.state(run_id) is RunState.EVALUATING
    lab.evaluate()
    assert lab.state(run_id) is RunState.SUCCEEDED
    # What the experiment asked for is still not there.
    assert lab.states(experiment_id) == [how]


def test_a_failed_second_look_leaves_the_run_succeeded_and_can_be_resumed(lab: Lab) -> None:
    _, run_id = trained(lab)
    asked = lab.evaluate_again(run_id, "dci")
    fail(lab.database, lab.take(EVALUATE), ERROR)
    assert lab.state(run_id) is RunState.SUCCEEDED
    assert evaluation(lab.database, asked.id).error == ERROR
    resume_evaluation(lab.database, asked.id)
    assert lab.state(run_id) is RunState.EVALUATING
    lab.evaluate()
    assert lab.evaluation_state(asked.id) == "succeeded"
    assert len(scores(lab.database, run_id)) == 2


def test_a_second_look_is_cancelled_without_the_first(lab: Lab) -> None:
    experiment_id, run_id = trained(lab)
    asked = lab.evaluate_again(run_id, "dci")
    cancel_evaluation(lab.database, asked.id)
    assert lab.evaluation_state(asked.id) == "cancelled"
    assert lab.state(run_id) is RunState.SUCCEEDED
    assert lab.states(experiment_id) == ["succeeded"]
    assert lab.take_all(EVALUATE) == []


def test_what_is_wanted_by_itself_goes_on_when_an_experiment_wants_it_no_more(lab: Lab) -> None:
    _, run_id = trained(lab)
    second = lab.post("a", evaluation="dci")
    asked = lab.evaluate_again(run_id, "dci")
    assert asked.reused
    cancel_experiment(lab.database, second)
    assert lab.states(second) == ["cancelled"]
    assert lab.evaluation_state(asked.id) == "queued"
    lab.evaluate()
    assert lab.evaluation_state(asked.id) == "succeeded"


def test_what_was_cancelled_by_itself_ends_with_the_experiments_that_want_it(lab: Lab) -> None:
    _, run_id = trained(lab)
    asked = lab.evaluate_again(run_id, "dci")
    cancel_evaluation(lab.database, asked.id)
    experiment_id = lab.post("a", evaluation="dci")
    assert lab.evaluation_state(asked.id) == "queued"
    cancel_experiment(lab.database, experiment_id)
    assert lab.evaluation_state(asked.id) == "cancelled"


def test_a_cancelled_run_takes_its_second_look_up_again(lab: Lab) -> None:
    experiment_id = lab.post("a")
    run_id = lab.run_of(experiment_id)
    lab.train()
    asked = lab.evaluate_again(run_id, "dci")
    cancel_run(lab.database, run_id)
    assert lab.evaluation_state(asked.id) == "cancelled"
    assert lab.state(run_id) is RunState.CANCELLED
    resume_run(lab.database, run_id)
    lab.evaluate()
    assert lab.evaluation_state(asked.id) == "succeeded"
    assert lab.states(experiment_id) == ["succeeded"]


def test_an_evaluation_that_waits_for_training_is_not_cancelled_alone(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    [waiting] = evaluations(lab.database, run_id)
    with pytest.raises(NotTrained, match="cancel or resume the run as a whole"):
        cancel_evaluation(lab.database, waiting.id)
    cancel_run(lab.database, run_id)
    with pytest.raises(NotTrained):
        resume_evaluation(lab.database, waiting.id)
    assert lab.evaluation_state(waiting.id) == "cancelled"


def test_a_lost_second_look_is_made_again(lab: Lab) -> None:
    experiment_id, run_id = trained(lab)
    lab.evaluate_again(run_id, "dci")
    stale = lab.take(EVALUATE, lease=-1)
    assert reap(lab.database, max_losses=3).requeued == 1
    with pytest.raises(LeaseLost):
        finish_evaluation(lab.database, stale, scores=[{"name": "late"}])
    lab.evaluate()
    assert lab.state(run_id) is RunState.SUCCEEDED
    assert [one.document["name"] for one in scores(lab.database, run_id)] == ["mig", "mig"]
    assert lab.states(experiment_id) == ["succeeded"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_that_is_deleted_as_it_is_asked_for_is_made_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lab.send()
    lab.evaluate()
    lock, gone = asking._lock_job, []

    def delete_first(session: Session, evaluation_id: str) -> None:
        if not gone:
            gone.append(evaluation_id)
            delete_evaluation(lab.database, evaluation_id)
        lock(session, evaluation_id)

    monkeypatch.setattr(asking, "_lock_job", delete_first)
    again = lab.send()
    assert gone == [first.id]
    assert again.id != first.id and not again.reused
    lab.evaluate()
    assert evaluation(lab.database, again.id).state is EvaluationState.SUCCEEDED
