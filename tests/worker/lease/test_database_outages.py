"""An outage of the database: it refuses what it is asked for a while, and comes back."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from store.jobs.claim import claim
from store.jobs.finish import finish_training, release
from store.jobs.heartbeat import beat
from store.jobs.reaper import _take_back
from store.states import JobKind, JobState, RunState
from tests.worker.workplace import Trained, Workplace, on_sqlite, spec
from worker.evaluation import evaluate_next
from worker.lease.files import put
from worker.reaping import reap_now
from worker.training import train_next

pytestmark = on_sqlite

OUTAGE = OperationalError("UPDATE jobs", {}, Exception("the server closed the connection"))


def in_outage(calls: int | None, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, refused at its first `calls`, or always."""
    numbers = itertools.count()

    def refused_at_first(*args: Any, **kwargs: Any) -> Any:
        if calls is None or next(numbers) < calls:
            raise OUTAGE
        return function(*args, **kwargs)

    return refused_at_first


@pytest.mark.parametrize(
    "name", ["worker.lease.renewal.beat", "worker.lease.checkpointing.record_checkpoint"]
)
def test_a_run_outlives_a_moment_without_the_database(
    name: str, workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    monkeypatch.setattr(name, in_outage(5, _found(name)))
    assert train_next()
    assert workplace.run(run_id).state is RunState.EVALUATING
    assert workplace.trained(run_id).same(undisturbed)


def test_a_run_outlives_an_outage_of_the_database_when_it_ends(
    workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    name = "worker.held_run.finish_training"
    monkeypatch.setattr(name, in_outage(5, _found(name)))
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


def test_files_are_kept_anew_at_every_try_to_record_them(
    workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    tries = itertools.count()

    def finish(*arguments: Any, **options: Any) -> None:
        if next(tries) == 0:
            # As whoever collects the files that nothing refers to may do.
            for folder in workplace.stores.objects.root.glob("??"):
                shutil.rmtree(folder)
            raise OUTAGE
        finish_training(*arguments, **options)

    monkeypatch.setattr("worker.held_run.finish_training", finish)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


def test_files_that_may_have_grown_old_meanwhile_are_put_once_more(
    workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    puts = itertools.count()

    def slowly(here: Any, files: Any) -> Any:
        artifacts = put(here, files)
        if next(puts) == 0:
            # The folder hangs for longer than a lease lasts, and a collection comes first.
            monkeypatch.setattr("worker.lease.conclusion.time", SimpleNamespace(monotonic=later))
            for folder in workplace.stores.objects.root.glob("??"):
                shutil.rmtree(folder)
        return artifacts

    def later() -> float:
        if threading.current_thread() is not threading.main_thread():
            return time.monotonic()  # A heart that beats meanwhile must not take it for itself.
        monkeypatch.setattr("worker.lease.conclusion.time", time)
        return time.monotonic() + 1000

    monkeypatch.setattr("worker.lease.conclusion.put", slowly)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@pytest.mark.parametrize(
    "name", ["worker.lease.renewal.beat", "worker.lease.checkpointing.record_checkpoint"]
)
def test_work_stops_without_a_loss_when_the_database_is_away_for_longer_than_the_lease(
    name: str, workplace: Workplace, undisturbed: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(lease_seconds=0.3)
    run_id = workplace.post()
    with monkeypatch.context() as without:
        without.setattr(name, in_outage(None, _found(name)))
        assert train_next()
    job = workplace.job(run_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)
    assert workplace.run(run_id).error is None
    assert workplace.checkpoint_steps(run_id) == []

    workplace.configure(lease_seconds=30)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


def test_a_cohort_is_queued_again_without_a_loss_after_an_outage(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(lease_seconds=0.3, cohort_width=2)
    runs = workplace.post_sweep({**spec(), "sweep": {"seed": [0, 1]}})
    ended: list[int] = []
    monkeypatch.setattr("worker.lease.heart.LEAST_SECONDS", 0.2)
    monkeypatch.setattr("worker.lease.heart.os._exit", ended.append)
    since: list[float] = []

    def until_it_is_back(function: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*args: Any, **kwargs: Any) -> Any:
            since.append(time.monotonic())
            if since[-1] - since[0] < 2:
                raise OUTAGE
            return function(*args, **kwargs)

        return refused

    with monkeypatch.context() as without:
        without.setattr("worker.lease.renewal.beat", until_it_is_back(beat))
        without.setattr("worker.lease.outcome.release", until_it_is_back(release))
        assert train_next()
    # A process that holds a job that nobody else can take yet is not ended by force.
    assert ended == []
    assert [workplace.job(run_id).state for run_id in runs] == [JobState.QUEUED] * 2
    assert [workplace.job(run_id).losses for run_id in runs] == [0, 0]


def test_leases_that_ran_out_while_nobody_could_renew_them_are_spared_for_a_while(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.reaping._spared_until", 0.0)
    run_id = workplace.post()
    database = workplace.stores.database
    claim(database, JobKind.TRAIN, worker="a worker", lease_seconds=0.0)
    workplace.configure(lease_seconds=1.0)
    with monkeypatch.context() as without:
        without.setattr("store.jobs.reaper._take_back", in_outage(None, _take_back))
        assert reap_now() == {}
    reap_now()
    assert (workplace.job(run_id).state, workplace.job(run_id).losses) == (JobState.RUNNING, 0)
    workplace.reap_until_queued(run_id)
    assert workplace.job(run_id).losses == 1


@pytest.mark.parametrize("work", [train_next, evaluate_next])
def test_a_worker_takes_nothing_from_a_database_that_is_away(
    work: Callable[[], bool], workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    monkeypatch.setattr("worker.process.storage.claim", in_outage(None, claim))
    assert not work()
    assert workplace.job(run_id).attempts == 0


def _found(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    found: Callable[..., Any] = getattr(__import__(module, fromlist=[attribute]), attribute)
    return found
