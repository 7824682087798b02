from __future__ import annotations

from store.experiments.cancel import cancel_run, resume_run
from store.states import JobState, RunState
from tests.worker.workplace import (
    PATIENCE,
    STEPS,
    Trained,
    Workplace,
    meanwhile,
    on_sqlite,
    spec,
    until,
)
from worker.evaluation import evaluate_next
from worker.process import draining
from worker.training import train_next


@on_sqlite
def test_cancelling_stops_training_at_a_checkpoint_to_go_on_from(
    workplace: Workplace, undisturbed: Trained, slow_steps: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(run_id))
        cancel_run(workplace.stores.database, run_id)
        assert work.result(timeout=PATIENCE)
    assert workplace.run(run_id).state is RunState.CANCELLED
    [step, *_] = workplace.checkpoint_steps(run_id)
    assert 0 < step < STEPS
    assert len(workplace.curves(run_id)["loss"]) == step
    assert not train_next()

    resume_run(workplace.stores.database, run_id)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@on_sqlite
def test_a_draining_worker_queues_its_run_again_from_a_checkpoint(
    workplace: Workplace, undisturbed: Trained, drained: None, slow_steps: None
) -> None:
    run_id = workplace.post(spec(checkpoint_minutes=2))
    with meanwhile(train_next) as work:
        until(lambda: (workplace.run(run_id).progress or {}).get("step"))
        draining.begin()
        assert work.result(timeout=PATIENCE)
    job = workplace.job(run_id)
    assert (job.state, job.losses, job.attempts) == (JobState.QUEUED, 0, 1)
    assert workplace.run(run_id).state is RunState.QUEUED
    [step] = workplace.checkpoint_steps(run_id)
    assert 0 < step < STEPS

    draining._flag[0] = 0
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@on_sqlite
def test_a_draining_worker_queues_its_evaluation_again(
    workplace: Workplace, drained: None, no_pictures: None
) -> None:
    run_id = workplace.post(spec(steps=2))
    train_next()
    draining.begin()
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.EVALUATING
    draining._flag[0] = 0
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED
