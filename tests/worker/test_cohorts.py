"""Runs that a worker trains side by side: each lives, is stopped and dies by itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ml.evaluation.encode import encode_rows
from ml.spec.run_spec import RunSpec
from ml.training import packing
from ml.training.loop import train_cohort
from store import queries
from store.database.tables import Job, Run
from store.errors import LeaseLost
from store.experiments.cancel import cancel_run, resume_run
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.states import JobState, RunState
from tests.ml.recorders import Kept
from tests.worker.workplace import (
    PATIENCE,
    STEPS,
    Trained,
    Workplace,
    left_by,
    meanwhile,
    on_sqlite,
    spec,
    until,
)
from worker.evaluation import evaluate_next
from worker.process import draining
from worker.training import train_next


@pytest.fixture(autouse=True)
def nothing_known_of_memory() -> Iterator[None]:
    yield
    packing._too_wide.clear()


def sweep(*, betas: int = 2, seeds: int = 4, **training: Any) -> dict[str, Any]:
    """Runs of a small network that differ in beta and seed."""
    return {
        **spec(**training),
        "model": {"name": "mlp", "hidden": [24], "latent_dim": 4},
        "sweep": {"objective.beta": list(range(1, betas + 1)), "seed": list(range(seeds))},
    }


def alone(run: queries.Run, *, width: int) -> Trained:
    """What a run gives at a width when nothing happens to it."""
    kept = Kept()
    [(_, model)] = train_cohort([RunSpec.parse(run.spec)], [kept], width=width)
    assert not isinstance(model, Exception)
    return left_by(model, kept)


def side_by_side(runs: list[queries.Run]) -> list[Trained]:
    """What runs give that fill a cohort, when nothing happens to it."""
    kept = [Kept() for _ in runs]
    models: dict[int, Any] = dict(
        train_cohort([RunSpec.parse(run.spec) for run in runs], kept, width=len(runs))
    )
    return [left_by(models[place], one) for place, one in enumerate(kept)]


@on_sqlite
def test_a_cohort_of_eight_whose_worker_was_killed_ends_with_the_same_bits(
    workplace: Workplace,
) -> None:
    workplace.configure(cohort_width=8)
    runs = workplace.post_sweep(sweep())
    with workplace.another_process() as process:
        until(lambda: all(workplace.checkpoint_steps(run_id) for run_id in runs))
        process.kill()
        process.join()
    assert all(0 < workplace.checkpoint_steps(run_id)[0] < STEPS for run_id in runs)
    assert {workplace.run(run_id).state for run_id in runs} == {RunState.TRAINING}
    for run_id in runs:
        workplace.take_back(run_id=run_id)

    # Whatever the worker that takes them up would do with new runs.
    workplace.configure(cohort_width=1)
    assert train_next()
    assert {workplace.run(run_id).state for run_id in runs} == {RunState.EVALUATING}
    undisturbed = side_by_side([workplace.run(run_id) for run_id in runs])
    for run_id, expected in zip(runs, undisturbed, strict=True):
        run = workplace.run(run_id)
        assert run.record is not None and run.record["width"] == 8
        assert run.attempts == 2
        assert workplace.trained(run_id).same(expected)


@on_sqlite
def test_on_a_cpu_runs_are_trained_one_by_one_unless_it_is_asked_otherwise(
    workplace: Workplace,
) -> None:
    runs = workplace.post_sweep(sweep(betas=1, seeds=2, steps=2))
    assert train_next()
    states = [workplace.run(run_id).state for run_id in runs]
    assert states == [RunState.EVALUATING, RunState.QUEUED]
    record = workplace.run(runs[0]).record
    assert record is not None and record["width"] == 1


@on_sqlite
def test_a_cohort_is_a_power_of_two_of_the_runs_that_go_together(workplace: Workplace) -> None:
    workplace.configure(cohort_width=8)
    first = workplace.post_sweep(sweep(betas=1, seeds=3, steps=2))
    other = workplace.post(spec(steps=3))
    more = workplace.post_sweep(sweep(betas=1, seeds=6, steps=2))[3:]
    widths = []
    while train_next():
        records = [workplace.run(run_id).record for run_id in [*first, other, *more]]
        widths.append([(record or {}).get("width") for record in records])
    # Four of the six alike in the order in which they came, then the stranger, then the rest.
    assert widths == [
        [4, 4, 4, None, 4, None, None],
        [4, 4, 4, 1, 4, None, None],
        [4, 4, 4, 1, 4, 2, 2],
    ]


@on_sqlite
def test_the_runs_of_a_cohort_are_evaluated_each_by_itself(
    workplace: Workplace, no_pictures: None
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    assert train_next()
    while evaluate_next():
        pass
    assert {workplace.run(run_id).state for run_id in runs} == {RunState.SUCCEEDED}
    scores = [
        [score.document["value"] for score in queries.scores(workplace.stores.database, run_id)]
        for run_id in runs
    ]
    assert len({tuple(values) for values in scores}) == 4
    assert workplace.only_ends_are_kept(*runs)


@on_sqlite
def test_one_of_a_cohort_is_cancelled_and_goes_on_later(
    workplace: Workplace, slow_steps: None
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    with meanwhile(train_next) as work:
        until(lambda: all(workplace.checkpoint_steps(run_id) for run_id in runs))
        cancel_run(workplace.stores.database, runs[1])
        until(lambda: workplace.run(runs[1]).state is RunState.CANCELLED)
        # It is told at once, and not when the others have ended.
        assert workplace.run(runs[0]).state is RunState.TRAINING
        assert work.result(timeout=PATIENCE)
    assert [workplace.run(run_id).state for run_id in runs] == [
        RunState.EVALUATING,
        RunState.CANCELLED,
        RunState.EVALUATING,
        RunState.EVALUATING,
    ]
    resume_run(workplace.stores.database, runs[1])
    assert train_next()
    undisturbed = side_by_side([workplace.run(run_id) for run_id in runs])
    for run_id, expected in zip(runs, undisturbed, strict=True):
        assert workplace.trained(run_id).same(expected)


@on_sqlite
def test_one_of_a_cohort_that_diverges_fails_with_advice(workplace: Workplace) -> None:
    workplace.configure(cohort_width=2)
    document = sweep(betas=1, seeds=1, steps=60)
    document["sweep"] = {"training.optimizer.learning_rate": [1e-3, 100.0]}
    good, hot = workplace.post_sweep(document)
    assert train_next()
    assert workplace.run(good).state is RunState.EVALUATING
    failed = workplace.run(hot)
    assert failed.state is RunState.FAILED
    assert failed.error is not None and failed.error["type"] == "NonFiniteLoss"
    assert workplace.trained(good).same(alone(workplace.run(good), width=2))
    # The way there can be seen.
    assert workplace.curves(hot)["loss"]


def test_one_of_a_cohort_that_was_given_to_another_leaves_no_mark(
    workplace: Workplace, slow_steps: None
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2))
    with meanwhile(train_next) as work:
        until(lambda: all(workplace.checkpoint_steps(run_id) for run_id in runs))
        workplace.take_back(run_id=runs[1])
        assert work.result(timeout=PATIENCE)
    assert workplace.run(runs[0]).state is RunState.EVALUATING
    assert workplace.run(runs[1]).state is RunState.QUEUED
    assert train_next()
    for run_id in runs:
        assert workplace.trained(run_id).same(alone(workplace.run(run_id), width=2))


@on_sqlite
def test_a_draining_worker_queues_all_of_its_cohort_again(
    workplace: Workplace, slow_steps: None
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    try:
        with meanwhile(train_next) as work:
            until(lambda: all(workplace.checkpoint_steps(run_id) for run_id in runs))
            draining.begin()
            assert work.result(timeout=PATIENCE)
    finally:
        draining._flag[0] = 0
    assert {workplace.run(run_id).state for run_id in runs} == {RunState.QUEUED}
    assert {workplace.job(run_id).losses for run_id in runs} == {0}
    assert train_next()
    for run_id in runs:
        assert workplace.trained(run_id).same(alone(workplace.run(run_id), width=4))


def runs_out(width: int) -> Callable[..., Any]:
    """As `train_cohort` on a device that holds fewer than so many places, found out on the way."""

    def trains(specs: Any, recorders: Any, **options: Any) -> Iterator[Any]:
        outcomes = train_cohort(specs, recorders, **options)
        if options["width"] >= width:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from outcomes

    return trains


@pytest.mark.slow
@on_sqlite
def test_runs_that_do_not_fit_are_tried_in_narrower_cohorts(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    monkeypatch.setattr("worker.training.train_cohort", runs_out(2))
    widths = []
    while train_next():
        records = [workplace.run(run_id).record for run_id in runs]
        widths.append([(record or {}).get("width") for record in records])
    # Four, then two did not fit; nothing is lost by it.
    assert widths[:2] == [[None] * 4] * 2
    assert widths[-1] == [1] * 4
    assert {workplace.job(run_id).losses for run_id in runs} == {0}
    for run_id in runs:
        assert workplace.trained(run_id).same(alone(workplace.run(run_id), width=1))


@on_sqlite
def test_a_run_whose_checkpoint_no_longer_fits_goes_on_from_it_narrower(
    workplace: Workplace, slow_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2))
    with meanwhile(train_next) as work:
        until(lambda: all(workplace.checkpoint_steps(run_id) for run_id in runs))
        for run_id in runs:
            cancel_run(workplace.stores.database, run_id)
        assert work.result(timeout=PATIENCE)
    for run_id in runs:
        resume_run(workplace.stores.database, run_id)
    monkeypatch.setattr("worker.training.train_cohort", runs_out(2))
    while train_next():
        pass
    for run_id in runs:
        record = workplace.run(run_id).record
        assert record is not None
        history = [(part["width"], part["from_step"] > 0) for part in record["history"]]
        assert history == [(2, False), (1, True)]


@on_sqlite
def test_memory_that_ran_out_for_a_run_alone_fails_it_with_advice(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post(sweep(betas=1, seeds=1))
    monkeypatch.setattr("worker.training.train_cohort", runs_out(1))
    assert train_next()
    assert workplace.job(run_id).state is JobState.FAILED
    error = workplace.run(run_id).error
    assert error is not None and "batch_size" in error["advice"]


@on_sqlite
def test_what_goes_wrong_with_the_device_fails_the_one_that_still_trained(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2))

    def breaks(*arguments: Any, **options: Any) -> Iterator[Any]:
        outcomes = train_cohort(*arguments, **options)
        yield next(outcomes)
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr("worker.training.train_cohort", breaks)
    assert train_next()
    assert workplace.run(runs[0]).state is RunState.EVALUATING
    error = workplace.run(runs[1]).error
    assert error is not None and "device-side assert" in error["message"]


@on_sqlite
def test_one_whose_end_cannot_be_made_fails_alone_and_keeps_its_checkpoints(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=4)
    runs = workplace.post_sweep(sweep(betas=1, seeds=4))
    with monkeypatch.context() as broken:
        numbers = itertools.count()

        def encodes(*arguments: Any) -> Any:
            if next(numbers) == 1:
                raise OSError("no space left on the device")
            return encode_rows(*arguments)

        broken.setattr("worker.held_run.encode_rows", encodes)
        assert train_next()
    states = [workplace.run(run_id).state for run_id in runs]
    assert states == [
        RunState.EVALUATING,
        RunState.FAILED,
        RunState.EVALUATING,
        RunState.EVALUATING,
    ]
    assert workplace.checkpoint_steps(runs[1])[0] == STEPS
    assert [len([path for path in workplace.files() if id in path.parts]) for id in runs] == [
        *(1, 2, 1, 1)
    ]
    resume_run(workplace.stores.database, runs[1])
    assert train_next()
    assert workplace.trained(runs[1]).same(alone(workplace.run(runs[1]), width=4))


@on_sqlite
def test_a_result_that_is_refused_takes_no_checkpoint_with_it(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post(sweep(betas=1, seeds=1))

    def refused(*_: Any, **__: Any) -> None:
        raise LeaseLost("job", 1)

    monkeypatch.setattr("worker.held_run.finish_training", refused)
    assert train_next()
    assert workplace.checkpoint_steps(run_id)[0] == STEPS
    assert workplace.files()


@on_sqlite
def test_a_checkpoint_that_was_recorded_unheard_stays(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post(sweep(betas=1, seeds=1))

    def unheard(*arguments: Any, **others: Any) -> None:
        record_checkpoint(*arguments, **others)
        raise LeaseLost("job", 1)

    monkeypatch.setattr("worker.lease.checkpointing.record_checkpoint", unheard)
    assert train_next()
    [only] = checkpoints(workplace.stores.database, run_id)
    assert workplace.stores.checkpoints.read_whole(only) is not None


@on_sqlite
def test_an_end_that_cannot_be_recorded_is_left_to_the_reaper_and_hurts_no_other(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(cohort_width=2, lease_seconds=1)
    document = sweep(betas=1, seeds=1, steps=60)
    document["sweep"] = {"training.optimizer.learning_rate": [100.0, 1e-3]}
    hot, good = workplace.post_sweep(document)

    def fails(*_: Any) -> None:
        raise RuntimeError("the record cannot be written")

    with monkeypatch.context() as broken:
        broken.setattr("worker.lease.outcome.fail", fails)
        assert train_next()
    assert workplace.run(good).state is RunState.EVALUATING
    assert workplace.run(hot).state is RunState.TRAINING
    # Nobody beats for it any more.
    workplace.reap_until_queued(hot)


def _stuck() -> bool:
    """Trains, and hears nothing while it does."""

    def sleeps(*_: Any, **__: Any) -> Iterator[Any]:
        time.sleep(600)
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.training.train_cohort", sleeps)
        return train_next()


@on_sqlite
def test_a_process_that_hears_nothing_after_it_lost_a_job_ends(workplace: Workplace) -> None:
    run_id = workplace.post(sweep(betas=1, seeds=1))
    with workplace.another_process(_stuck) as process:
        until(lambda: workplace.run(run_id).state is RunState.TRAINING)
        workplace.take_back(run_id=run_id)
        process.join(timeout=PATIENCE)
        assert process.exitcode == 1


@on_sqlite
def test_what_another_version_takes_for_alike_is_left_to_others(workplace: Workplace) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=1, steps=2))
    runs += [workplace.post(spec(steps=3))]
    with workplace.stores.database.write() as session:
        session.query(Job).update({"cohort_key": "the same"})
    assert train_next()
    states = [workplace.run(run_id).state for run_id in runs]
    assert states == [RunState.EVALUATING, RunState.QUEUED]
    assert workplace.job(runs[1]).losses == 0


@on_sqlite
@pytest.mark.parametrize("broken", [0, 1])
def test_one_whose_spec_is_no_longer_understood_fails_alone(
    broken: int, workplace: Workplace
) -> None:
    workplace.configure(cohort_width=2)
    runs = workplace.post_sweep(sweep(betas=1, seeds=2, steps=2))
    with workplace.stores.database.write() as session:
        row = session.get_one(Run, runs[broken])
        row.spec = {**row.spec, "objective": {"name": "no longer installed"}}
    while train_next():
        pass
    states = [workplace.run(run_id).state for run_id in runs]
    assert states[broken] is RunState.FAILED
    assert states[1 - broken] is RunState.EVALUATING
