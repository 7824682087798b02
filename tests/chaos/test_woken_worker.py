from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from api.submission.planning import plan
from store.database.connection import Database
from store.database.tables import Job
from store.experiments.submit import submit
from store.states import JobKind, JobState
from tests.chaos.programs import Programs, send, serving
from tests.heddle.fake_programs import until
from tests.service.home import spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

BEAT_SECONDS = 1.0


def post(database: Database, *, seed: int) -> None:
    """Submit a run as the API does; it waits for the reaper."""
    planned = plan(database, spec(seed=seed))
    submit(
        database,
        name=None,
        tags=[],
        notes=None,
        owner=None,
        spec=planned.experiment.document,
        runs=planned.runs,
    )


def test_a_worker_that_wakes_without_its_job_is_gone_within_a_beat_and_replaced(
    tmp_path: Path,
) -> None:
    programs = Programs(
        tmp_path,
        app="tests.chaos.silent_worker",
        postgresql=False,
        settings={
            "HEDDLE_LEASE_SECONDS": "3",
            "HEDDLE_BEAT_SECONDS": str(BEAT_SECONDS),
            "HEDDLE_SWEEP_SECONDS": "0.5",
            "HEDDLE_TRAIN_THREADS": "1",
        },
        workers={"train": 2, "control": 1},
        api=False,
    )
    database = Database(programs.database_url)

    def job() -> Job:
        """The training job that was asked for last."""
        with database.read() as session:
            jobs = session.query(Job).filter_by(kind=JobKind.TRAIN)
            return jobs.order_by(Job.created_at.desc()).limit(1).one()

    def worker() -> int:
        """The process that has the job, or had it."""
        return int((job().worker or "").rpartition(":")[2])

    silence = tmp_path / "silence"
    silence.touch()
    with serving(programs):
        post(database, seed=0)
        until(lambda: not silence.exists())
        silent = worker()
        [name] = [name for name in programs.names("train") if programs.pool_process(name) == silent]
        [other] = set(programs.names("train")) - {name}

        # Right after a beat, when it holds no lock that would stop everybody else.
        renewed = job().lease_until
        until(lambda: job().lease_until != renewed)
        send(silent, signal.SIGSTOP)
        until(lambda: job().fence == 2)
        send(silent, signal.SIGCONT)
        began = time.monotonic()
        until(lambda: not Path(f"/proc/{silent}").exists())
        # The beat that is refused, the one after, and what a busy machine takes. With a good lease
        # in the process it would be ten seconds.
        assert time.monotonic() - began < BEAT_SECONDS + 6
        until(lambda: job().state is JobState.DONE)
        assert job().fence == 2

        programs.kill(other)
        post(database, seed=1)
        until(lambda: job().state is JobState.DONE)
        assert worker() == programs.pool_process(name) != silent
    database.dispose()
