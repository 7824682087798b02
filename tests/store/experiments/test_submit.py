from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select, text

from store.database import tables
from store.database.connection import Database
from store.experiments.cancel import cancel_experiment, cancel_run, resume_experiment
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.jobs.finish import acknowledge_cancel, fail, finish_evaluation, finish_training
from store.jobs.heartbeat import beat
from store.queries import evaluation, experiment, run, scores, spec_of
from store.states import RunState
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab, new_run, scans


def count(database: Database, table: type[tables.Base]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_an_experiment_is_written_as_it_was_posted(lab: Lab) -> None:
    id = lab.post("a", "b", notes="why", priority=2)
    found = experiment(lab.database, id)
    assert (found.name, found.tags, found.notes) == ("beta sweep", ["demo"], "why")
    assert (found.owner, found.priority, found.events) == ("ada", 2, 0)
    assert found.counts[RunState.QUEUED] == 2
    links = lab.links(id)
    assert [(link.position, link.train_id, link.swept, link.reused) for link in links] == [
        (0, "a", {"seed": "a"}, False),
        (1, "b", {"seed": "b"}, False),
    ]
    assert spec_of(lab.database, links[0].run_id) == new_run("a").spec


def test_an_experiment_without_runs_is_refused(lab: Lab) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        lab.post()


def test_finished_work_is_given_at_once(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    lab.evaluate()
    second = lab.post("a")
    [link] = lab.links(second)
    assert (link.run_id, link.reused, link.state) == (
        lab.run_of(first),
        True,
        RunState.SUCCEEDED,
    )
    assert lab.take_all(TRAIN) == lab.take_all(EVALUATE) == []
    assert len(scores(lab.database, link.run_id)) == 1


def test_a_new_evaluation_of_finished_work_trains_nothing(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    lab.evaluate()
    heard = lab.events(first)
    second = lab.post("a", evaluation="dci")
    run_id = lab.run_of(second)
    assert lab.state(run_id) is RunState.EVALUATING
    # The first experiment has what it asked for, and hears nothing of the second.
    assert lab.states(first) == ["succeeded"]
    assert lab.states(second) == ["evaluating"]
    assert lab.take_all(TRAIN) == []
    lab.evaluate()
    assert lab.events(first) == heard
    assert lab.events(second) == ["run.succeeded"]
    assert lab.state(run_id) is RunState.SUCCEEDED
    [one] = scores(lab.database, run_id, evaluation_id=lab.links(second)[0].evaluation_id)
    assert one.position == 0
    assert len(scores(lab.database, run_id)) == 2


def test_an_evaluation_under_way_is_joined_and_left_to_its_worker(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    taken = lab.take(EVALUATE)
    second = lab.post("a")
    assert lab.evaluation_state(lab.links(second)[0].evaluation_id) == "running"
    assert lab.take_all(EVALUATE) == []
    finish_evaluation(lab.database, taken, scores=[])
    assert lab.states(first) == lab.states(second) == ["succeeded"]


def test_work_under_way_is_joined(lab: Lab) -> None:
    first = lab.post("a")
    taken = lab.take()
    second = lab.post("a", evaluation="dci")
    assert [link.reused for link in lab.links(second)] == [True]
    assert lab.states(second) == ["training"]
    assert not beat(lab.database, taken, lease_seconds=-1).cancel_requested
    assert lab.take_all(TRAIN) == []
    finish_training(lab.database, taken, record={})
    assert len(lab.take_all(EVALUATE)) == 2
    assert lab.run_of(first) == lab.run_of(second)


def test_failed_work_is_queued_again_from_its_checkpoint(lab: Lab) -> None:
    first = lab.post("a")
    taken = lab.take()
    record_checkpoint(
        lab.database, taken, step=9, path="p", sha256="", size=1, width=1, device_model="cpu"
    )
    fail(lab.database, taken, ERROR)
    second = lab.post("a", evaluation="dci")
    found = run(lab.database, lab.run_of(second))
    assert (found.id, found.state, found.error) == (lab.run_of(first), RunState.QUEUED, None)
    assert found.finished_at is None
    assert [row.step for row in checkpoints(lab.database, found.id)] == [9]
    assert lab.links(second)[0].reused
    # The first experiment gets what it has waited for as well.
    assert lab.states(first) == ["queued"]
    lab.train()
    lab.evaluate()
    assert lab.states(first) == lab.states(second) == ["succeeded"]


def test_work_whose_evaluation_failed_is_only_evaluated_again(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    fail(lab.database, lab.take(EVALUATE), ERROR)
    again = lab.post("a")
    assert lab.states(again) == ["evaluating"]
    assert evaluation(lab.database, lab.links(id)[0].evaluation_id).error is None
    assert lab.take_all(TRAIN) == []
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_joining_work_withdraws_a_cancellation_that_was_not_carried_out(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    cancel_run(lab.database, run_id)
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    lab.post("a")
    # The worker has been told already, so it stops; the work does not end with that.
    acknowledge_cancel(lab.database, taken)
    assert lab.state(run_id) is RunState.QUEUED


def test_force_trains_anew_and_is_what_later_experiments_join(lab: Lab) -> None:
    first = lab.post("a")
    lab.train()
    lab.evaluate()
    forced = lab.post("a", force=True)
    assert lab.run_of(forced) != lab.run_of(first)
    assert not lab.links(forced)[0].reused
    assert not run(lab.database, lab.run_of(first)).current
    assert lab.states(first) == ["succeeded"]
    assert lab.run_of(lab.post("a")) == lab.run_of(forced)


def test_force_leaves_the_run_under_way_to_those_who_wait_for_it(lab: Lab) -> None:
    first = lab.post("a")
    forced = lab.post("a", force=True)
    assert len(lab.take_all(TRAIN)) == 2
    assert lab.states(first) == lab.states(forced) == ["training"]


def test_places_with_one_identity_share_one_run(lab: Lab) -> None:
    id = lab.post("a", "b", "a")
    links = lab.links(id)
    assert [link.reused for link in links] == [False, False, True]
    assert links[0].run_id == links[2].run_id
    assert links[0].evaluation_id == links[2].evaluation_id
    lab.train()
    lab.evaluate()
    assert lab.states(id) == ["succeeded"] * 3
    # A change of the shared run is one event.
    assert lab.events(id).count("run.succeeded") == 2


def test_places_of_one_run_with_two_evaluations_share_the_training(lab: Lab) -> None:
    id = lab.post(runs=[new_run("a", evaluation="mig"), new_run("a", evaluation="dci")])
    assert len(lab.take_all(TRAIN)) == 1
    assert len({link.evaluation_id for link in lab.links(id)}) == 2


def test_a_waiting_job_takes_the_higher_priority(lab: Lab) -> None:
    lab.post("a")
    run_id = lab.run_of(lab.post("b"))
    assert lab.position(run_id) == 2
    lab.post("b", priority=1)
    assert lab.position(run_id) == 1


def test_simultaneous_submissions_of_the_same_work_make_it_once(lab: Lab) -> None:
    names = [f"run {number}" for number in range(20)]
    ids: list[str] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        try:
            ids.append(lab.post(*(names if number % 2 else reversed(names))))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count(lab.database, tables.Run) == count(lab.database, tables.Job) == 20
    assert count(lab.database, tables.Evaluation) == 20
    assert count(lab.database, tables.ExperimentRun) == 80
    reused = [link.reused for id in ids for link in lab.links(id)]
    assert reused.count(False) == 20


def test_simultaneous_forced_submissions_leave_one_current_run(lab: Lab) -> None:
    lab.post("a")
    errors: list[BaseException] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()
        try:
            lab.post("a", force=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count(lab.database, tables.Run) == 4
    with lab.database.read() as session:
        assert session.scalar(select(func.count()).where(tables.Run.current)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_table_is_scanned_for_each_of_a_thousand_runs(lab: Lab) -> None:
    # A connection that has planned its checks of foreign keys while the tables were known to be
    # small is where PostgreSQL would: 10,000 runs took 22 s for it, and take 3.
    for number in range(10):
        lab.post(f"before {number}")
    with lab.database.write() as session:
        session.execute(text("ANALYZE"))
    for number in range(10):
        lab.post(f"small {number}")
    before = scans(lab)
    id = lab.post(*(f"run {number}" for number in range(1000)))
    assert scans(lab) - before < 100
    assert experiment(lab.database, id).counts[RunState.QUEUED] == 1000


def test_more_runs_than_fit_one_statement_are_joined_cancelled_and_resumed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database.rows._PART", 7)
    names = [f"run {number}" for number in range(30)]
    first, second = lab.post(*names), lab.post(*names)
    assert all(link.reused for link in lab.links(second))
    cancel_experiment(lab.database, first)
    assert lab.position(lab.links(second)[-1].run_id) == 30
    cancel_experiment(lab.database, second)
    assert lab.take_all(TRAIN) == []
    resume_experiment(lab.database, second)
    assert experiment(lab.database, second).counts[RunState.QUEUED] == 30
    assert experiment(lab.database, first).counts[RunState.CANCELLED] == 30
