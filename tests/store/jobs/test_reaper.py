from __future__ import annotations

from store.experiments.cancel import cancel_run, resume_run
from store.jobs.finish import release
from store.jobs.heartbeat import beat
from store.jobs.reaper import Reaped, reap
from store.queries import run
from store.states import RunState
from tests.store.lab import EVALUATE, TRAIN, Lab


def test_an_expired_lease_is_taken_back_and_a_live_one_is_not(lab: Lab) -> None:
    id = lab.post("a", "b", "c")
    lost, held = lab.take(lease=-1), lab.take(lease=30)
    assert reap(lab.database, max_losses=3) == Reaped(
        requeued=1, failed=0, cancelled=0, waiting={TRAIN: 2, EVALUATE: 0}
    )
    assert lab.states(id) == ["queued", "training", "queued"]
    again = lab.take()
    assert (again.job_id, again.fence) == (lost.job_id, 2)
    beat(lab.database, held, lease_seconds=30)


def test_a_job_that_loses_every_worker_fails_with_its_cause(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    for number in range(3):
        taken = lab.take(worker=f"w{number}")
        beat(lab.database, taken, lease_seconds=-1, progress={"step": 40 + number})
        reaped = reap(lab.database, max_losses=3)
        assert (reaped.requeued, reaped.failed) == ((1, 0) if number < 2 else (0, 1))
    failed = run(lab.database, run_id)
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert failed.error["type"] == "WorkerLost"
    assert "3 workers" in failed.error["message"]
    assert "w2" in failed.error["message"]
    assert "step 42" in failed.error["message"]
    assert failed.error["advice"]


def test_a_release_is_no_loss_and_a_resumed_job_starts_counting_anew(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    for _ in range(5):
        release(lab.database, lab.take())
    lab.take(lease=-1)
    assert reap(lab.database, max_losses=2).requeued == 1
    lab.take(lease=-1)
    assert reap(lab.database, max_losses=2).failed == 1
    resume_run(lab.database, run_id)
    lab.take(lease=-1)
    assert reap(lab.database, max_losses=2).requeued == 1


def test_a_lost_evaluation_is_evaluated_again(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    lab.take(EVALUATE, lease=-1)
    reaped = reap(lab.database, max_losses=3)
    assert (reaped.requeued, reaped.waiting) == (1, {TRAIN: 0, EVALUATE: 1})
    lab.evaluate()
    assert lab.states(id) == ["succeeded"]


def test_a_lost_job_that_was_to_be_cancelled_ends(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    lab.take(lease=-1)
    cancel_run(lab.database, run_id)
    assert lab.state(run_id) is RunState.TRAINING
    assert reap(lab.database, max_losses=3).cancelled == 1
    assert lab.state(run_id) is RunState.CANCELLED
