"""Whatever a worker still writes for a job that another has by then, nothing of it is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from ml.recorder import Checkpoint, Progress, Stopped, Wish
from store.database.tables import Job
from store.files.folders import check_mark
from store.jobs.claim import Claim, claim
from store.jobs.finish import finish_evaluation, finish_training
from store.states import JobKind, JobState
from tests.worker.workplace import Workplace, on_sqlite, spec
from worker.lease.files import NPZ, PNG, NewFile
from worker.lease.lease import Lease
from worker.lease.outcome import MayBeAnother, recorded
from worker.process.stores import Stores
from worker.reaping import reap_now
from worker.training import train_next

CHECKPOINT = Checkpoint(
    7, {"weights": torch.ones(3)}, {"width": 1, "history": [{"device_model": "a device"}]}
)

Late = Callable[[Stores, Lease], object]


def curves(here: Stores, lease: Lease) -> None:
    lease.progress(Progress("training", step=7, steps=9))
    lease.scalars(7, {"loss": 1.0})
    lease.flush()


def raised(error: BaseException) -> Late:
    def raises(*_: object) -> None:
        raise error

    return raises


def training_done(here: Stores, lease: Lease) -> None:
    lease.conclude(
        lambda kept: finish_training(here.database, lease.claim, record={}, artifacts=kept),
        [NewFile("codes.npz", NPZ, b"codes")],
    )


def evaluation_done(here: Stores, lease: Lease) -> None:
    scores = [{"value": 1.0}]
    lease.conclude(
        lambda kept: finish_evaluation(here.database, lease.claim, scores=scores, artifacts=kept),
        [NewFile("traversal.png", PNG, b"picture")],
    )


LATE: Mapping[str, Late] = {
    "curves and progress": curves,
    "a checkpoint": lambda _, lease: lease.checkpoint(CHECKPOINT),
    "training done": training_done,
    "evaluation done": evaluation_done,
    "a failure": raised(RuntimeError("the loss is not finite")),
    "a loss": raised(MayBeAnother(RuntimeError("a device error"))),
    "a pause": raised(Stopped(Wish.PAUSE)),
    "a cancellation": raised(Stopped(Wish.CANCEL)),
}


def claimed(workplace: Workplace, name: str, *, lease_seconds: float) -> Claim:
    """The job that this write is of."""
    kind = JobKind.TRAIN
    workplace.post(spec(steps=1))
    if name == "evaluation done":
        assert train_next()
        kind = JobKind.EVALUATE
    return taken(workplace.stores, kind, lease_seconds)


def taken(here: Stores, kind: JobKind, lease_seconds: float) -> Claim:
    # As a worker does before it takes a job; the marks are none of the write's.
    for folder in (here.checkpoints, here.objects):
        check_mark(here.database, folder)
    [taken] = claim(here.database, kind, worker="a worker", lease_seconds=lease_seconds)
    return taken


def written(workplace: Workplace, name: str, claim: Claim) -> bool:
    """Whether a write leaves a mark in the database or among the checkpoints."""
    here, before = workplace.stores, (workplace.rows(), workplace.files())
    with recorded(here, claim):
        LATE[name](here, Lease(here, claim))
    return (workplace.rows(), workplace.files()) != before


@pytest.mark.parametrize("name", LATE)
def test_a_late_write_leaves_no_mark(name: str, workplace: Workplace) -> None:
    stale = claimed(workplace, name, lease_seconds=-1)
    reap_now()
    assert not written(workplace, name, stale)
    taken(workplace.stores, stale.kind, lease_seconds=60)
    assert not written(workplace, name, stale)


@on_sqlite
@pytest.mark.parametrize("name", LATE)
def test_the_same_write_of_the_holder_leaves_one(name: str, workplace: Workplace) -> None:
    held = claimed(workplace, name, lease_seconds=60)
    assert written(workplace, name, held)
    with workplace.stores.database.read() as session:
        job = session.get_one(Job, held.job_id)
        assert (job.state is JobState.DONE) == name.endswith("done")
        assert (job.state is JobState.FAILED) == (name == "a failure")
