"""The groups of waiting jobs, against all jobs counted one by one; and what finding them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, text

from store.database.connection import Database
from store.database.tables import Job
from store.jobs.claim import claim, claim_beside, count_beside
from store.jobs.demand import new_job
from store.jobs.heartbeat import beat
from store.jobs.preemption import preempt
from store.jobs.reaper import reap
from store.scheduling.fair_share import Rules, Waiting
from store.scheduling.groups import counted_groups, groups_beside, waiting_groups
from store.states import JobKind, JobState
from tests.store.lab import EVALUATE, TRAIN, Lab
from tests.store.long_queue import fill

# Owners whose order depends on who compares, one whose name is empty, and one of every script.
OWNERS = ["ada", "Ada", "ädä", "", "o'neil", "ada ", "%_\\", "艾达", "🦆"]

JOBS = st.lists(
    st.fixed_dictionaries(
        {
            "owner": st.sampled_from(OWNERS),
            "priority": st.sampled_from([-10, -1, 0, 1, 10]),
            "short": st.booleans(),
            "kind": st.sampled_from([TRAIN, TRAIN, EVALUATE]),
            "state": st.sampled_from([JobState.QUEUED] * 3 + [JobState.RUNNING, JobState.DONE]),
            "created_at": st.sampled_from([1.0, 2.0, 3.0, 3.5]),
            "cohort_key": st.sampled_from(["one", "two", None]),
        }
    ),
    max_size=30,
)


def waiting(jobs: list[dict[str, Any]], kind: JobKind, most: int) -> set[Waiting]:
    """The groups by definition."""
    found: dict[tuple[str, int, bool], list[float]] = {}
    for job in jobs:
        if job["kind"] is kind and job["state"] is JobState.QUEUED:
            group = job["owner"], job["priority"], job["short"]
            found.setdefault(group, []).append(job["created_at"])
    return {Waiting(*group, min(at), min(most, len(at))) for group, at in found.items()}


@given(jobs=JOBS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_groups_are_those_that_counting_all_jobs_finds(
    database: Database, jobs: list[dict[str, Any]]
) -> None:
    rows = [
        new_job(job["kind"], run_id=None, evaluation_id=None, now=0.0, priority=0, owner=None) | job
        for job in jobs
    ]
    with database.write() as session:
        session.execute(delete(Job))
        if rows:
            session.execute(insert(Job), rows)
    with database.read() as session:
        for kind in JobKind:
            all_counted = counted_groups(session, kind)
            assert set(all_counted) == waiting(jobs, kind, len(jobs))
            assert len(all_counted) == len(set(all_counted))
            for most in (1, 3):
                found = waiting_groups(session, kind, most=most)
                assert set(found) == waiting(jobs, kind, most)
                assert len(found) == len(set(found))
        for key in ("one", "two", "of nobody"):
            # Evaluations have no cohort, but the rows here may.
            having = {
                (job["owner"], job["priority"], job["short"])
                for job in jobs
                if job["state"] is JobState.QUEUED and job["cohort_key"] == key
            }
            assert groups_beside(session, key) == having


@contextmanager
def counting_steps(database: Database) -> Iterator[list[int]]:
    """The steps of SQLite's machine, or the entries that PostgreSQL read of the jobs' indexes."""
    steps = [0]
    if database._engine.dialect.name == "sqlite":

        def count() -> None:
            steps[0] += 1

        def watch(connection: Any, *_: Any) -> None:
            connection.set_progress_handler(count, 1)

        database.dispose()
        event.listen(database._engine, "connect", watch)
        try:
            yield steps
        finally:
            event.remove(database._engine, "connect", watch)
            database.dispose()
        return
    before = _read_entries(database)
    yield steps
    steps[0] = _read_entries(database) - before


def _read_entries(database: Database) -> int:
    # Each connection tells what it has read when it ends, at the latest.
    database.dispose()
    read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('jobs', 'runs')"
    with database.write() as session:
        session.execute(text("SELECT pg_stat_force_next_flush()"))
    with database.read() as session:
        return int(session.scalar(text(read)) or 0)


def test_a_claim_costs_the_same_however_many_wait(lab: Lab) -> None:
    database = lab.database
    fill(database, 0, 2_000)
    [held] = claim(database, TRAIN, worker="w", lease_seconds=100)
    rules = Rules()
    calls: dict[str, Callable[[], Any]] = {
        "claim": lambda: claim(database, TRAIN, worker="v", lease_seconds=100, width=3),
        "count beside": lambda: count_beside(database, held, device_model="x", most=5),
        "claim beside": lambda: claim_beside(
            database, held, device_model="x", width=2, worker="w", lease_seconds=100
        ),
        "preempt": lambda: preempt(database, rules),
    }
    took: list[dict[str, int]] = []
    for last in (2_000, 8_000):
        if last > 2_000:
            # The same groups, with more jobs each.
            fill(database, 2_000, last)
        took.append({})
        for name, call in calls.items():
            call()
            with counting_steps(database) as steps:
                call()
            took[-1][name] = steps[0]
    for name, few in took[0].items():
        assert few > 0
        assert took[1][name] < 1.5 * few, name


def test_what_is_counted_is_counted_no_further_than_is_of_use(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.post("a", "b", "c")
    assert reap(lab.database, max_losses=3).waiting == {TRAIN: 3, EVALUATE: 0}
    monkeypatch.setattr("store.jobs.reaper.COUNTED", 2)
    assert reap(lab.database, max_losses=3).waiting == {TRAIN: 2, EVALUATE: 0}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_beat_writes_into_no_index(lab: Lab) -> None:
    lab.post("a")
    taken = lab.take()

    def in_place() -> int:
        with lab.database.write() as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with lab.database.read() as session:
            found = text("SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs'")
            return int(session.scalar(found) or 0)

    before = in_place()
    for step in range(5):
        beat(lab.database, taken, lease_seconds=30, progress={"step": step})
    assert in_place() - before == 5
