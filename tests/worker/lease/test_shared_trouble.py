"""What stops several runs at once, or one while others are held: nobody pays for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sqlalchemy.exc import OperationalError

from ml.evaluation.encode import encode_rows
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training import packing
from ml.training.loop import train_cohort
from store.errors import LeaseLost
from store.jobs.finish import finish_training
from store.states import JobState, RunState
from tests.worker.test_cohorts import alone, sweep
from tests.worker.workplace import PATIENCE, Workplace, meanwhile, on_sqlite, spec, until
from worker.lease.heart import Heart
from worker.lease.lease import Lease
from worker.lease.renewal import Renewal
from worker.reaping import reap_now
from worker.training import train_next

pytestmark = on_sqlite


@pytest.fixture(autouse=True)
def nothing_known_of_memory() -> Iterator[None]:
    yield
    packing._too_wide.clear()


def states(workplace: Workplace, runs: list[str]) -> list[RunState]:
    return [workplace.run(run_id).state for run_id in runs]


def losses(workplace: Workplace, runs: list[str]) -> list[int]:
    return [workplace.job(run_id).losses for run_id in runs]


def breaks_with(seed: int, error: BaseException) -> Any:
    """As `train_cohort`, but a run of this seed brings down all that is trained beside it."""

    def trains(specs: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        if any(spec.seed == seed for spec in specs):
            raise error
        yield from train_cohort(specs, *arguments, **options)

    return trains


def test_whoever_brings_down_a_cohort_is_found_and_fails_alone(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    error = RuntimeError("CUDA error: device-side assert triggered")
    monkeypatch.setattr("worker.training.train_cohort", breaks_with(2, error))
    for lost in (1, 2):
        assert train_next()
        assert states(workplace, runs) == [RunState.QUEUED] * 4
        assert losses(workplace, runs) == [lost] * 4
    while train_next():
        pass
    failed = workplace.run(runs[2])
    assert failed.state is RunState.FAILED
    assert failed.error is not None and "device-side assert" in failed.error["message"]
    for run_id in (runs[0], runs[1], runs[3]):
        run = workplace.run(run_id)
        assert run.record is not None and run.record["width"] == 1
        assert workplace.trained(run_id).same(alone(run, width=1))


def test_after_an_error_of_the_device_the_process_ends_and_the_runs_wait(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2))
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    with monkeypatch.context() as broken:
        broken.setattr("worker.training.train_cohort", breaks_with(1, error))
        with pytest.raises(SystemExit):
            train_next()
    assert states(workplace, runs) == [RunState.QUEUED] * 2
    assert losses(workplace, runs) == [1, 1]
    assert train_next()
    assert states(workplace, runs) == [RunState.EVALUATING] * 2


@pytest.mark.parametrize("width", [1, 4])
def test_a_signal_to_end_that_reaches_the_training_process_queues_its_runs(
    width: int, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=width)
    runs = workplace.post_sweep(sweep(betas=1, seeds=width))
    with monkeypatch.context() as broken:
        # So does Celery's pool turn SIGTERM into an exception.
        broken.setattr("worker.training.train_cohort", breaks_with(0, SystemExit(0)))
        with pytest.raises(SystemExit):
            train_next()
    assert states(workplace, runs) == [RunState.QUEUED] * width
    assert losses(workplace, runs) == [0] * width
    assert train_next()
    assert states(workplace, runs) == [RunState.EVALUATING] * width


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["device", "machine"],
)
def test_memory_that_runs_out_while_a_cohort_encodes_costs_no_run(
    error: Exception, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2))

    def encodes(model: Any, *arguments: Any) -> Any:
        if model.record["history"][-1]["width"] > 1:
            raise error
        return encode_rows(model, *arguments)

    monkeypatch.setattr("worker.held_run.encode_rows", encodes)
    while train_next():
        pass
    assert states(workplace, runs) == [RunState.EVALUATING] * 2
    assert losses(workplace, runs) == [0, 0]
    for run_id in runs:
        # Its training was over, and is not done again.
        assert workplace.trained(run_id).same(alone(workplace.run(run_id), width=2))


def test_one_whose_data_are_gone_fails_alone_before_it_is_trained(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2, steps=2))

    def key(spec: RunSpec) -> str | None:
        if spec.seed == 1:
            raise FileNotFoundError("no such file: dsprites.npz")
        return cohort_key(spec)

    monkeypatch.setattr("worker.held_run.cohort_key", key)
    assert train_next()
    assert states(workplace, runs) == [RunState.EVALUATING, RunState.FAILED]


@pytest.mark.parametrize("name", ["count_beside", "claim_beside"])
def test_a_database_that_is_away_while_others_are_looked_for_costs_no_loss(
    name: str, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2, steps=2))

    def in_outage(*_: Any, **__: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr(f"worker.training.{name}", in_outage)
    assert train_next()
    assert states(workplace, runs) == [RunState.EVALUATING, RunState.QUEUED]


def test_no_lease_is_kept_when_another_cannot_be_begun(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=4, lease_seconds=1)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4, steps=2))
    add, held = Heart.add, []

    def adds(self: Heart, lease: Any) -> None:
        if len(held) == 2:
            raise RuntimeError("can't start new thread")
        held.append(lease)
        add(self, lease)

    with monkeypatch.context() as broken:
        broken.setattr(Heart, "add", adds)
        assert train_next()
    for run_id in runs:
        workplace.reap_until_queued(run_id)
    assert train_next()
    assert states(workplace, runs) == [RunState.EVALUATING] * 4


def test_others_are_beaten_for_while_one_waits_for_the_database(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2, lease_seconds=1)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2, steps=2))

    def finishes(*arguments: Any, **options: Any) -> None:
        time.sleep(2.5)
        finish_training(*arguments, **options)

    monkeypatch.setattr("worker.held_run.finish_training", finishes)
    with meanwhile(train_next) as work:
        until(lambda: workplace.run(runs[0]).state is RunState.EVALUATING)
        # 2.5 s after the first wanted to end, the second is still held.
        assert workplace.job(runs[1]).state is JobState.RUNNING
        reap_now()
        assert work.result(timeout=PATIENCE)
    assert states(workplace, runs) == [RunState.EVALUATING] * 2
    assert losses(workplace, runs) == [0, 0]


def test_work_stops_when_its_beats_do_not_come_through(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beat that hangs raises nothing; by the time, the lease has run out."""
    workplace.configure(lease_seconds=0.4)
    run_id = workplace.post(spec(steps=1000, checkpoint_minutes=2))
    beaten = Renewal._beat

    def hangs(self: Renewal) -> None:
        by_itself = threading.current_thread().name == "heartbeat"
        if by_itself and (workplace.run(run_id).progress or {}).get("step"):
            time.sleep(2)
        beaten(self)

    refused = []
    progress = Lease.progress

    def notes(self: Lease, told: Any) -> Any:
        try:
            return progress(self, told)
        except LeaseLost:
            refused.append(told.step)
            raise

    monkeypatch.setattr(Renewal, "_beat", hangs)
    monkeypatch.setattr(Lease, "progress", notes)
    assert train_next()
    assert refused and refused[0] < 1000
    assert workplace.job(run_id).state is JobState.RUNNING


def test_what_waits_is_divided_among_the_processes_that_train(workplace: Workplace) -> None:
    workplace.configure(cohort_width=8, train_processes=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=8, steps=2))
    assert train_next()
    widths = [(workplace.run(run_id).record or {}).get("width") for run_id in runs]
    assert widths == [4, 4, 4, 4, None, None, None, None]
