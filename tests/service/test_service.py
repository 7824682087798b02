"""The whole thing: `heddle up`, its processes, and what a client gets of it."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from heddle.client.client import Client
from heddle.client.resources import ExperimentFailed, Run
from ml.networks.model import Model
from store.database.tables import Job, Worker
from store.jobs.checkpoints import checkpoints
from store.states import JobState
from tests.heddle.fake_programs import until
from tests.service.home import Home, libraries, spec, step_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PATIENCE = 180.0
"""Seconds that a run of seconds may take on a busy machine."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that the tests share, as each start takes long."""
    home = Home(tmp_path_factory.mktemp("service") / "home")
    yield home
    home.kill()


def trained(client: Client, folder: Path) -> Run:
    """A small run, finished, with everything that it should have left."""
    [run] = client.submit(spec()).wait(PATIENCE).runs()
    scores = {score["name"]: score["value"] for score in run.scores()}
    assert 0 <= scores["mig"] <= 1
    assert scores["elbo"] < 0
    assert [step for step, _ in run.scalars()["loss"]] == list(range(1, 11))
    # Checked by their digests on the way.
    files = {path.name: path.read_bytes() for path in run.download(folder)}
    assert {"weights.safetensors", "codes.npz", "traversal.png"} <= files.keys()
    assert Model.from_bytes(files["weights.safetensors"]).steps == 10
    picture = run.traversal(folder / "picture.png").read_bytes()
    assert picture == files["traversal.png"]
    Image.open(io.BytesIO(picture)).verify()
    return run


def check_reused(client: Client, run: Run) -> None:
    """Posting a finished run again answers with it, finished, at once."""
    experiment = client.submit(spec() | {"name": "the same again"})
    assert experiment.state == "succeeded"
    [again] = experiment.runs()
    assert again.id == run.id
    assert again.document["reused"] is True


def test_a_posted_spec_gives_scores_files_and_pictures_and_is_not_trained_twice(
    home: Home, tmp_path: Path
) -> None:
    with home.serve() as client:
        check_reused(client, trained(client, tmp_path))


def test_a_failing_run_says_why_and_leaves_the_worker_as_it_was(home: Home) -> None:
    with home.serve() as client:
        experiment = client.submit(spec(learning_rate=100.0))
        with pytest.raises(ExperimentFailed, match=r"NonFiniteLoss.*learning_rate"):
            experiment.wait(PATIENCE)
    parent, child = home.pool("train")
    assert "libtorch" in libraries(child)
    # One that has loaded torch must not fork the children that use it.
    assert "libtorch" not in libraries(parent)


@pytest.mark.slow
def test_a_run_succeeds_though_the_process_that_trained_it_was_killed(home: Home) -> None:
    with home.serve() as client:
        experiment = client.submit(spec(steps=100, seed=1))
        [run] = experiment.runs()
        until(lambda: step_of(run), PATIENCE)
        os.kill(home.pool("train")[1], signal.SIGKILL)
        experiment.wait(PATIENCE)
        run.refresh()
        assert run.document["attempts"] > 1
        assert [step for step, _ in run.scalars()["loss"]] == list(range(1, 101))


def test_an_interrupted_service_leaves_its_work_to_the_next(home: Home) -> None:
    with home.serve() as client:
        experiment = client.submit(spec(steps=250, seed=2))
        [run] = experiment.runs()
        until(lambda: step_of(run), PATIENCE)
        workers = {one["kind"]: one for one in client.get("/v1/workers").json()["items"]}
        assert {kind: one["pid"] for kind, one in workers.items()} == {
            kind: home.pool(kind)[1] for kind in ("train", "evaluate")
        }
        assert [job["run"] for job in workers["train"]["jobs"]] == [run.id]
        assert home.end(signal.SIGINT) == 0
    until(lambda: not home.processes())
    with home.database() as database:
        with database.read() as session:
            job = session.query(Job).filter_by(run_id=run.id, evaluation_id=None).one()
            assert (job.state, job.losses) == (JobState.QUEUED, 0)
            # Those that ended said so, and are not waited for.
            assert session.query(Worker).count() == 0
        [newest, *_] = checkpoints(database, run.id)
    assert 0 < newest.step < 250

    with home.serve() as client:
        run = client.experiment(experiment.id).wait(PATIENCE).runs()[0].refresh()
        assert run.document["attempts"] == 2
        assert [step for step, _ in run.scalars()["loss"]] == list(range(1, 251))
        log = run.log()
        assert "attempt 1, begins" in log and f"goes on from step {newest.step}" in log


@pytest.mark.slow
def test_a_killed_service_leaves_no_process_behind(home: Home) -> None:
    home.serve().close()
    # The service, its guard, the broker, the API, three workers, two pools and the beat.
    until(lambda: len(home.processes()) >= 9)
    home.kill()
    until(lambda: not home.processes())


def test_it_works_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    home = Home(tmp_path / "home", HEDDLE_DATABASE_URL=postgres_url)
    try:
        with home.serve() as client:
            check_reused(client, trained(client, tmp_path))
        assert home.end(signal.SIGTERM) == 0
        assert not (tmp_path / "home" / "heddle.db").exists()
    finally:
        home.kill()
