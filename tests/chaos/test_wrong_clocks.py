from __future__ import annotations

import sys
from pathlib import Path

import pytest

from heddle.client.client import connect
from store.database.connection import Database
from store.database.tables import Job
from store.states import JobState
from tests.chaos.programs import Programs, serving
from tests.heddle.fake_programs import until
from tests.service.home import spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def test_a_worker_whose_clock_is_an_hour_wrong_works_as_any_other(tmp_path: Path) -> None:
    programs = Programs(
        tmp_path,
        app="tests.chaos.mistimed_worker",
        postgresql=True,
        settings={"HEDDLE_TRAIN_THREADS": "1", "HEDDLE_SWEEP_SECONDS": "0.5"},
        workers={"train": 1, "evaluate": 1, "control": 1},
    )
    with serving(programs), connect(programs.url) as client:
        until(programs.ready)
        assert client.submit(spec()).wait(90).state == "succeeded"
        database = Database(programs.database_url)
        with database.read() as session:
            jobs = session.query(Job.state, Job.attempts, Job.losses).all()
        database.dispose()
    assert jobs == [(JobState.DONE, 1, 0)] * 2
