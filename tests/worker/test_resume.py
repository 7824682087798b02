from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from store.jobs.checkpoints import checkpoints
from store.states import JobState, RunState
from tests.worker.workplace import PATIENCE, STEPS, Trained, Workplace, on_sqlite, spec, until
from worker.evaluation import evaluate_next
from worker.training import train_next


def test_a_run_whose_worker_was_killed_ends_with_the_same_bits(
    workplace: Workplace, undisturbed: Trained
) -> None:
    run_id = workplace.post()
    with workplace.another_process() as process:
        until(lambda: workplace.checkpoint_steps(run_id))
        process.kill()
        process.join()
    assert 0 < workplace.checkpoint_steps(run_id)[0] < STEPS
    assert workplace.run(run_id).state is RunState.TRAINING

    workplace.take_back(run_id=run_id)
    assert workplace.job(run_id).losses == 1
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)
    assert workplace.run(run_id).attempts == 2


@on_sqlite
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    workplace: Workplace, undisturbed: Trained
) -> None:
    run_id = workplace.post()
    with workplace.another_process() as process:
        until(lambda: len(workplace.checkpoint_steps(run_id)) == 2)
        process.kill()
        process.join()
    newest = checkpoints(workplace.stores.database, run_id)[0]
    path = workplace.stores.checkpoints.root / newest.path
    os.truncate(path, newest.bytes // 2)

    workplace.take_back(run_id=run_id)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@on_sqlite
def test_without_a_whole_checkpoint_a_run_begins_again(
    workplace: Workplace, undisturbed: Trained
) -> None:
    run_id = workplace.post()
    with workplace.another_process() as process:
        until(lambda: workplace.checkpoint_steps(run_id))
        process.kill()
        process.join()
    for path in workplace.files():
        path.unlink()

    workplace.take_back(run_id=run_id)
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@on_sqlite
def test_a_run_that_kills_its_workers_fails_with_that_cause(workplace: Workplace) -> None:
    run_id = workplace.post(spec(checkpoint_minutes=2))
    for losses in (1, 2, 3):
        with workplace.another_process() as process:
            until(lambda: workplace.run(run_id).state is RunState.TRAINING)
            process.kill()
            process.join()
        workplace.take_back(run_id=run_id)
        assert workplace.job(run_id).losses == min(losses, 2)
    assert workplace.run(run_id).state is RunState.FAILED
    error = workplace.run(run_id).error
    assert error is not None
    assert error["type"] == "WorkerLost"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_wakes_after_its_lease_leaves_no_mark(
    workplace: Workplace, undisturbed: Trained, no_pictures: None
) -> None:
    run_id = workplace.post()
    with workplace.another_process() as process:
        until(lambda: workplace.checkpoint_steps(run_id))
        _stop_between_transactions(workplace, process.pid or 0)
        assert workplace.run(run_id).state is RunState.TRAINING
        workplace.take_back(run_id=run_id)
        assert train_next()
        assert evaluate_next()
        assert workplace.job(run_id).state is JobState.DONE
        before = workplace.rows()

        os.kill(process.pid or 0, signal.SIGCONT)
        process.join(timeout=PATIENCE)
        assert process.exitcode == 0
    assert workplace.rows() == before
    assert workplace.trained(run_id).same(undisturbed)
    # What it had recorded was removed when the other finished, what it wrote after by itself.
    assert workplace.only_ends_are_kept(run_id)


def _stop_between_transactions(workplace: Workplace, pid: int) -> None:
    """Stop a process where it holds no lock that would stop everybody else."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        # The signal is sent before it has arrived.
        until(lambda: _stopped(pid))
        if _nobody_writes(workplace.environment["HEDDLE_DATABASE_URL"]):
            return
        os.kill(pid, signal.SIGCONT)


def _stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def _nobody_writes(database_url: str) -> bool:
    if database_url.startswith("postgresql"):
        with psycopg.connect(database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            ).fetchone()
            return row == (0,)
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=0.1)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True
