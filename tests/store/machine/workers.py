"""What workers do, and the reaper: claim, beat, let go, fall silent, wake up too late."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import Row, update

from store.database.tables import Job
from store.errors import LeaseLost
from store.jobs.checkpoints import record_checkpoint
from store.jobs.claim import ALONE_AFTER_LOSSES, Claim, claim, claim_beside
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
from store.states import JobKind, JobState
from tests.store.jobs.test_fence import WRITES
from tests.store.lab import ERROR
from tests.store.machine.ledger import subject
from tests.store.machine.moments import Moments, one

LEASE = 3600.0
"""Longer than any example takes: leases run out when a rule says so."""

ARTIFACT = NewArtifact("loss.png", "ab" * 32, "image/png", 3)
OTHERS_FINISH = {JobKind.TRAIN: "finish evaluation", JobKind.EVALUATE: "finish training"}
DEVICES = st.sampled_from(["cpu", "gpu"])
STEPS = st.integers(0, 9)
SCORES = st.lists(st.integers(0, 9), max_size=2)
WIDTHS = st.integers(1, 4)


class Workers(Moments):
    @precondition(lambda self: self.kinds_waiting())
    @rule(kind=one(lambda self: self.kinds_waiting()), width=WIDTHS, device=DEVICES)
    def claim(self, kind: JobKind, width: int, device: str) -> None:
        taken = claim(
            self.database,
            kind,
            worker="w",
            lease_seconds=LEASE,
            width=width,
            device_model=device,
        )
        self.take(taken, self.waiting(kind)[:width], device)

    @precondition(lambda self: self.held(JobKind.TRAIN) and self.waiting(JobKind.TRAIN))
    @rule(held=one(lambda self: self.held(JobKind.TRAIN)), width=WIDTHS, device=DEVICES)
    def claim_beside(self, held: Claim, width: int, device: str) -> None:
        taken = claim_beside(
            self.database, held, device_model=device, width=width, worker="w", lease_seconds=LEASE
        )
        fitting = [
            job
            for job in self.waiting(JobKind.TRAIN)
            if max(held.losses, job.losses) < ALONE_AFTER_LOSSES
            and held.cohort_key == job.cohort_key
            and bound_width(job, device) in (None, held.cohort_width)
        ]
        self.take(taken, fitting[:width], device)

    def take(self, taken: list[Claim], expected: list[Row[Any]], device: str) -> None:
        assert [
            (claim.job_id, claim.fence, claim.losses, claim.cohort_width) for claim in taken
        ] == [(job.id, job.fence + 1, job.losses, bound_width(job, device)) for job in expected]
        self.ledger.take(taken)

    @precondition(lambda self: self.held())
    @rule(held=one(lambda self: self.held()), step=STEPS)
    def beat(self, held: Claim, step: int) -> None:
        points = {"loss": [(step, 1.0)]} if held.kind is JobKind.TRAIN else None
        answer = beat(
            self.database, held, lease_seconds=LEASE, progress={"step": step}, points=points
        )
        assert answer.cancel_requested != self.ledger.goes_on(subject(held))
        self.ledger.silent.discard(held.job_id)

    @precondition(lambda self: self.held(JobKind.TRAIN))
    @rule(held=one(lambda self: self.held(JobKind.TRAIN)), step=STEPS, width=WIDTHS, device=DEVICES)
    def record_checkpoint(self, held: Claim, step: int, width: int, device: str) -> None:
        known = [row for row in self.rows["checkpoints"].values() if row.run_id == held.run_id]
        record_checkpoint(
            self.database,
            held,
            step=step,
            path=f"{held.run_id}/{held.fence}-{step}.safetensors",
            sha256="ab" * 32,
            size=3,
            width=width,
            device_model=device,
        )
        if all(row.step < step for row in known):
            del self.ledger.losses[subject(held)]

    @precondition(lambda self: self.held(JobKind.TRAIN))
    @rule(held=one(lambda self: self.held(JobKind.TRAIN)))
    def finish_training(self, held: Claim) -> None:
        finish_training(self.database, held, record={"device": "cpu"}, artifacts=[ARTIFACT])
        self.ledger.finish_training(held)

    @precondition(lambda self: self.held(JobKind.EVALUATE))
    @rule(held=one(lambda self: self.held(JobKind.EVALUATE)), scores=SCORES)
    def finish_evaluation(self, held: Claim, scores: list[int]) -> None:
        finish_evaluation(
            self.database,
            held,
            scores=[{"value": value} for value in scores],
            artifacts=[] if held.run_id is None else [ARTIFACT],
        )
        self.ledger.finish_evaluation(held, scores)

    @precondition(lambda self: self.held())
    @rule(held=one(lambda self: self.held()))
    def fail(self, held: Claim) -> None:
        fail(self.database, held, ERROR)
        self.ledger.fail(held)

    @precondition(lambda self: self.held())
    @rule(held=one(lambda self: self.held()), lost=st.booleans())
    def release(self, held: Claim, lost: bool) -> None:
        release(self.database, held, lost=lost)
        self.ledger.release(held, lost=lost)

    @precondition(lambda self: self.held())
    @rule(held=one(lambda self: self.held()))
    def acknowledge_cancel(self, held: Claim) -> None:
        acknowledge_cancel(self.database, held)
        self.ledger.release(held, lost=False)

    @precondition(lambda self: self.held())
    @rule(held=one(lambda self: self.held()), max_losses=st.none() | st.integers(1, 3))
    def fall_silent(self, held: Claim, max_losses: int | None) -> None:
        """A lease runs out; then the reaper comes, or there is time for one more beat."""
        with self.database.write() as session:
            session.execute(update(Job).where(Job.id == held.job_id).values(lease_until=0.0))
        self.ledger.silent.add(held.job_id)
        if max_losses is not None:
            self.reap(max_losses)

    def reap(self, max_losses: int) -> None:
        ended: Counter[str] = Counter()
        for job_id in sorted(self.ledger.silent):
            held = self.ledger.held[job_id]
            goes_on = self.ledger.goes_on(subject(held))
            if goes_on and self.ledger.losses[subject(held)] + 1 >= max_losses:
                ended["failed"] += 1
                self.ledger.fail(held)
            else:
                ended["requeued" if goes_on else "cancelled"] += 1
                self.ledger.release(held, lost=True)
        reaped = reap(self.database, max_losses=max_losses)
        assert ended == Counter(
            requeued=reaped.requeued, failed=reaped.failed, cancelled=reaped.cancelled
        )

    @precondition(lambda self: self.ledger.over)
    @rule(stale=one(lambda self: self.ledger.over[::-1]))
    def write_too_late(self, stale: Claim) -> None:
        """Somebody who has held a job writes all that a worker can write."""
        for name, write in WRITES.items():
            if name != OTHERS_FINISH[stale.kind]:
                with pytest.raises(LeaseLost):
                    write(self.database, stale)
        self.nothing_has_changed()

    # What there is at this moment

    def kinds_waiting(self) -> list[JobKind]:
        return [kind for kind in JobKind if self.waiting(kind)]

    def waiting(self, kind: JobKind) -> list[Row[Any]]:
        """Jobs that nobody has taken, in the order in which they are to be."""
        jobs = [
            job
            for job in self.rows["jobs"].values()
            if job.kind is kind and job.state is JobState.QUEUED
        ]
        return sorted(jobs, key=lambda job: (-job.priority, job.created_at, job.id))

    def held(self, kind: JobKind | None = None) -> list[Claim]:
        return [claim for claim in self.ledger.held.values() if kind in (None, claim.kind)]


def bound_width(job: Row[Any], device: str) -> int | None:
    """The width at which a job is to be trained on this device, if at any."""
    bound = job.cohort_device == device and job.losses < ALONE_AFTER_LOSSES
    return job.cohort_width if bound else None
