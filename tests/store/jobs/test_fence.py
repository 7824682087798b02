"""A worker that was given up may wake and write: nothing of it may be seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import inspect, text

from store.database.connection import Database
from store.errors import LeaseLost
from store.jobs.checkpoints import record_checkpoint, unbind_width
from store.jobs.claim import Claim
from store.jobs.finish import (
    NewArtifact,
    acknowledge_cancel,
    fail,
    finish_evaluation,
    finish_training,
    release,
)
from store.jobs.heartbeat import beat
from store.jobs.reaper import reap
from store.states import JobKind
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab

ARTIFACT = NewArtifact("weights.safetensors", "ab" * 32, "application/octet-stream", 3)

Write = Callable[[Database, Claim], object]
WRITES: dict[str, Write] = {
    "beat": lambda database, claim: beat(
        database, claim, lease_seconds=30, progress={"step": 7}, points={"loss": [(7, 1.0)]}
    ),
    "checkpoint": lambda database, claim: record_checkpoint(
        database, claim, step=7, path="p", sha256="ab" * 32, size=3, width=1, device_model="cpu"
    ),
    "free width": unbind_width,
    "release": release,
    "fail": lambda database, claim: fail(database, claim, ERROR),
    "cancel": acknowledge_cancel,
    "finish training": lambda database, claim: finish_training(
        database, claim, record={}, artifacts=[ARTIFACT]
    ),
    "finish evaluation": lambda database, claim: finish_evaluation(
        database, claim, scores=[{"value": 1.0}], artifacts=[ARTIFACT]
    ),
}


def everything(database: Database) -> dict[str, list[str]]:
    """Every row of every table."""
    with database.read() as session:
        names = inspect(session.connection()).get_table_names()
        return {
            name: sorted(map(str, session.execute(text(f"SELECT * FROM {name}")))) for name in names
        }


def claims(lab: Lab, kind: JobKind) -> Claim:
    lab.post("a")
    if kind is EVALUATE:
        lab.train()
    return lab.take(kind, lease=-1)


@pytest.mark.parametrize("name", WRITES)
def test_a_stale_fence_is_refused_and_leaves_no_mark(lab: Lab, name: str) -> None:
    kind = EVALUATE if name == "finish evaluation" else TRAIN
    stale = claims(lab, kind)
    assert reap(lab.database, max_losses=3).requeued == 1
    for _ in ("while the job waits", "while another works on it"):
        before = everything(lab.database)
        with pytest.raises(LeaseLost) as refusal:
            WRITES[name](lab.database, stale)
        assert (refusal.value.job_id, refusal.value.fence) == (stale.job_id, stale.fence)
        assert everything(lab.database) == before
        lab.take_all(kind)


@pytest.mark.parametrize("name", WRITES)
def test_a_job_that_has_ended_is_not_written_to_again(lab: Lab, name: str) -> None:
    kind = EVALUATE if name == "finish evaluation" else TRAIN
    taken = claims(lab, kind)
    finish = "finish evaluation" if kind is EVALUATE else "finish training"
    WRITES[finish](lab.database, taken)
    before = everything(lab.database)
    with pytest.raises(LeaseLost):
        WRITES[name](lab.database, taken)
    assert everything(lab.database) == before


@pytest.mark.parametrize("name", WRITES)
def test_the_holder_may_write_even_after_a_late_lease_that_nobody_took(lab: Lab, name: str) -> None:
    taken = claims(lab, EVALUATE if name == "finish evaluation" else TRAIN)
    WRITES[name](lab.database, taken)


def test_a_fence_rises_over_releases_losses_and_resumption(lab: Lab) -> None:
    lab.post("a")
    release(lab.database, lab.take())
    lab.take(lease=-1)
    reap(lab.database, max_losses=3)
    fail(lab.database, lab.take(), ERROR)
    lab.post("a")
    assert lab.take().fence == 4
