"""Shares, waits and slices on a simulated server, by the store's own functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.database.connection import Database
from store.scheduling.queue import queue
from store.states import JobKind
from tests.store.simulation import Server, server

HOUR = 3600.0


@pytest.fixture
def two_workers(tmp_path: Path, sqlite_schema: Path) -> Server:
    return server(tmp_path, sqlite_schema, 2)


def test_owners_have_equal_shares_and_who_tries_something_out_waits_a_minute(
    two_workers: Server,
) -> None:
    began = two_workers.now
    two_workers.post("ada", 8 * 3600, 4)
    two_workers.post("cleo", 3 * 3600, 10)
    two_workers.post("ben", 1800, 20)
    two_workers.post("dora", 3000, 10)
    shorts: list[str] = []
    for _ in range(4 * 6):
        # A tenth of what there is, and less than a share.
        shorts += two_workers.post("eve", 120)
        two_workers.pass_time(two_workers.now + 600)
    seconds = two_workers.workers * (two_workers.now - began)
    for owner in ("ada", "ben", "cleo", "dora"):
        equal = (seconds - two_workers.spent["eve"]) / 4
        assert two_workers.spent[owner] == pytest.approx(equal, rel=0.1)
    assert two_workers.spent["eve"] == 120 * len(shorts)
    # A run that has just begun is preempted after a minute, and only then.
    rules, look = two_workers.rules, two_workers.look_seconds
    assert max(map(two_workers.wait, shorts)) <= rules.short_slice_seconds + look
    slices = seconds / rules.slice_seconds
    assert two_workers.preemptions <= slices + len(shorts)


@pytest.mark.slow
def test_short_runs_get_no_more_than_a_share(two_workers: Server) -> None:
    began = two_workers.now
    for owner in ("ada", "ben", "cleo"):
        two_workers.post(owner, 8 * 3600, 4)
    two_workers.post("dora", 290, 200)
    two_workers.pass_time(began + 4 * HOUR)
    equal = two_workers.workers * 4 * HOUR / 4
    for owner in ("ada", "ben", "cleo", "dora"):
        assert two_workers.spent[owner] == pytest.approx(equal, rel=0.1)


@pytest.mark.slow
def test_one_owner_alone_is_not_interrupted(two_workers: Server) -> None:
    runs = two_workers.post("ada", 3 * 3600, 4)
    two_workers.pass_time(two_workers.now + 6.1 * HOUR)
    assert set(two_workers.ended) == set(runs) and two_workers.preemptions == 0


def test_a_low_priority_is_served_though_a_high_one_never_ends(two_workers: Server) -> None:
    low = two_workers.post("ada", 600, priority=-1)
    two_workers.post("ben", 1000, 100, priority=5)
    two_workers.post("ada", 1000, 100, priority=5)
    two_workers.pass_time(two_workers.now + 3 * HOUR)
    assert set(low) <= two_workers.ended.keys()
    assert two_workers.wait(low[0]) >= two_workers.rules.patience_seconds


def test_starts_are_foretold(two_workers: Server) -> None:
    # Measured first: the pace of each kind of run.
    two_workers.post("ada", 1000, key="long")
    two_workers.post("ada", 100, key="brief")
    two_workers.pass_time(two_workers.now + 1100)
    posted = [
        *two_workers.post("ada", 4000, 4, key="long"),
        *two_workers.post("ben", 2500, 4, key="long"),
        *two_workers.post("cleo", 200, 6, key="brief"),
        *two_workers.post("dora", 7000, 2, key="long", priority=1),
    ]
    two_workers.pass_time(two_workers.now + 90)
    now = two_workers.now
    foretold = {
        place.run_id: (place.position, place.starts_in)
        for place in queue(two_workers.database, JobKind.TRAIN, two_workers.rules).places
    }
    assert sorted(position for position, _ in foretold.values()) == list(
        range(1, len(foretold) + 1)
    )
    two_workers.pass_time(now + 16 * HOUR)
    waiting = [run_id for run_id in posted if run_id in foretold]
    assert len(waiting) > 8
    for run_id in waiting:
        _, starts_in = foretold[run_id]
        assert starts_in is not None
        waited = two_workers.started[run_id] - now
        # A look at who is to be preempted is not made all the time.
        assert starts_in == pytest.approx(waited, rel=0.1, abs=3 * two_workers.look_seconds)


def test_what_was_never_measured_has_a_place_and_no_time(two_workers: Server) -> None:
    two_workers.post("ada", 4000, 4, key="new")
    two_workers.pass_time(two_workers.now + 60)
    database: Database = two_workers.database
    places = queue(database, JobKind.TRAIN, two_workers.rules).places
    assert [(place.position, place.starts_in, place.seconds) for place in places] == [
        (1, None, None),
        (2, None, None),
    ]
