"""Workers on two hosts: homes of their own, one database, one folder of objects and checkpoints."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from ml.reproducibility import environment
from store import queries
from store.database.connection import db_now
from store.database.tables import Job
from store.jobs.log import log_of_run
from store.states import RunState
from tests.service.wire import Wire
from tests.worker.workplace import PATIENCE, STEPS, Trained, Workplace, until
from worker.evaluation import evaluate_next
from worker.lease import job_log
from worker.training import train_next

pytestmark = [
    # Hosts share no SQLite file.
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("logged"),
]


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    """The network between the other host and the database."""
    wire = Wire(f"{make_url(database_url).query['host']}/.s.PGSQL.5432")
    yield wire
    wire.end()


@pytest.fixture
def elsewhere(
    workplace: Workplace, wire: Wire, database_url: str, tmp_path: Path
) -> dict[str, Any]:
    """The settings of the other host; this one gets the same folders and keeps its own home."""
    shared = tmp_path / "shared"
    workplace.configure(objects=shared / "objects", checkpoints=shared / "checkpoints")
    there = make_url(database_url).difference_update_query(["host"])
    there = there.set(host="127.0.0.1", port=wire.port)
    return {
        "home": tmp_path / "other home",
        "database_url": there.render_as_string(hide_password=False),
    }


def train_on_another_host() -> bool:
    """Train as a host with another name and another processor would."""
    here = environment.processor()
    environment.processor = lambda: replace(here, name="another processor")  # type: ignore[assignment]
    socket.gethostname = lambda: "another-host"
    job_log.begin()
    return train_next()


def hosts(workplace: Workplace, run_id: str) -> list[str]:
    """The hosts of the attempts to train a run."""
    found = queries.attempts(workplace.stores.database, [run_id])[run_id]
    return [host_of(one.worker) for one in found if one.evaluation_id is None]


def host_of(worker: str) -> str:
    """The host in a worker's name. In a container, a number of its process ids follows it."""
    return worker.rpartition(":")[0].partition("/")[0]


def is_whole(workplace: Workplace, run_id: str, undisturbed: Trained) -> bool:
    """Whether a run has the undisturbed bits, and every step of its curves once."""
    curves = workplace.curves(run_id)
    assert [step for step, _ in curves["loss"]] == list(range(1, STEPS + 1))
    return workplace.trained(run_id).same(undisturbed)


def test_another_host_goes_on_where_a_killed_one_had_come(
    workplace: Workplace,
    elsewhere: dict[str, Any],
    undisturbed: Trained,
    tmp_path: Path,
    no_pictures: None,
) -> None:
    run_id = workplace.post()
    with workplace.another_process(train_on_another_host, **elsewhere) as process:
        until(lambda: workplace.checkpoint_steps(run_id))
        process.kill()
        process.join()
    come = workplace.checkpoint_steps(run_id)[0]
    workplace.take_back(run_id=run_id)
    assert train_next()
    assert evaluate_next()

    assert workplace.run(run_id).state is RunState.SUCCEEDED
    assert is_whole(workplace, run_id, undisturbed)
    assert hosts(workplace, run_id) == ["another-host", socket.gethostname()]
    # Nothing of a run lies in the home of a worker.
    assert not (tmp_path / "other home").exists()
    for artifact in queries.artifacts(workplace.stores.database, run_id):
        content = workplace.content(run_id, artifact.name)
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
    lines = log_of_run(workplace.stores.database, run_id)
    told = [host_of(line.worker) for line in lines if "begins" in line.message]
    assert {"another-host", socket.gethostname()} == set(told)
    assert any(line.message == f"goes on from step {come}" for line in lines)

    # The bits may depend on the processor, so the record names both.
    record = workplace.run(run_id).record or {}
    first, second = record["history"]
    assert (first["from_step"], second["from_step"]) == (0, come)
    assert first["device_model"].startswith("another processor")
    assert first["device_model"] != second["device_model"]


def test_a_host_cut_off_from_the_database_leaves_no_mark_when_it_comes_back(
    workplace: Workplace, elsewhere: dict[str, Any], wire: Wire, undisturbed: Trained
) -> None:
    run_id = workplace.post()
    settings = {**elsewhere, "lease_seconds": 1}
    with workplace.another_process(train_on_another_host, **settings) as process:
        until(lambda: workplace.checkpoint_steps(run_id))
        wire.part()
        until(lambda: _is_over(workplace, run_id))
        workplace.take_back(run_id=run_id)
        assert train_next()
        before = workplace.rows()

        wire.heal()
        process.join(timeout=PATIENCE)
        assert process.exitcode == 0
    after = workplace.rows()
    # What it logged meanwhile stays true.
    assert before.pop("log_lines") != after.pop("log_lines")
    assert before == after
    assert is_whole(workplace, run_id, undisturbed)
    assert workplace.only_ends_are_kept(run_id)
    assert hosts(workplace, run_id) == ["another-host", socket.gethostname()]


def _is_over(workplace: Workplace, run_id: str) -> bool:
    """Whether the lease of a run has run out by the database's clock."""
    with workplace.stores.database.read() as session:
        running = session.query(Job).filter(Job.run_id == run_id, Job.lease_until < db_now())
        return running.count() > 0
