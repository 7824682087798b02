from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.database.tables import Attempt, Job
from store.jobs.claim import _lock_next, claim
from store.queries import run
from store.states import JobState, RunState
from tests.store.lab import EVALUATE, TRAIN, Lab


def test_a_claim_marks_the_run_as_training(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take(worker="gpu0@host")
    assert (taken.run_id, taken.kind, taken.evaluation_id) == (run_id, TRAIN, None)
    assert (taken.fence, taken.attempts) == (1, 1)
    found = run(lab.database, run_id)
    assert (found.state, found.worker, found.attempts) == (RunState.TRAINING, "gpu0@host", 1)
    assert found.started_at is not None
    assert found.created_at <= found.started_at


def test_a_claim_of_nothing_is_empty(lab: Lab) -> None:
    assert lab.take_all(TRAIN) == []
    lab.post("a")
    assert lab.take_all(EVALUATE) == []


def test_a_claim_whose_candidates_were_all_taken_at_this_instant_is_empty(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.post("a", "b")
    found = _lock_next

    def outrun(session: Session, *others: Any) -> list[Any]:
        candidates = found(session, *others)
        # As on PostgreSQL when another's commit falls between this look and its locks.
        session.execute(update(Job).values(state=JobState.RUNNING, worker="faster"))
        return candidates

    with monkeypatch.context() as patch:
        patch.setattr("store.jobs.claim._lock_next", outrun)
        assert lab.take_all(TRAIN) == []
    with lab.database.read() as session:
        assert session.scalars(select(Attempt.fence)).all() == []
        assert session.scalars(select(Job.worker)).all() == ["faster"] * 2


def test_jobs_are_taken_by_priority_then_age(lab: Lab) -> None:
    first = lab.links(lab.post("a", "b"))
    urgent = lab.links(lab.post("c", priority=5))
    expected = [link.run_id for link in [*urgent, *first]]
    assert [lab.position(run_id) for run_id in expected] == [1, 2, 3]
    assert [taken.run_id for taken in lab.take_all(TRAIN, width=2)] == expected[:2]
    assert lab.position(expected[0]) is None
    assert lab.position(expected[2]) == 1
    assert lab.take().run_id == expected[2]


def test_many_workers_at_once_never_share_a_job(lab: Lab) -> None:
    lab.post(*(f"run {number}" for number in range(40)))
    taken: list[str] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(6)

    def work(name: str) -> None:
        barrier.wait()
        idle = 0
        try:
            while idle < 20:
                claims = claim(lab.database, TRAIN, worker=name, lease_seconds=30, width=3)
                # Others' locks may leave nothing for a moment; a worker would get another hint.
                idle = 0 if claims else idle + 1
                taken.extend(found.job_id for found in claims)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(taken) == 40
    assert set(Counter(taken).values()) == {1}
