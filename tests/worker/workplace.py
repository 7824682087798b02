"""A place where workers work: a home, a database, and short words for what happens there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from api.submission.planning import plan
from ml.networks import tensor_file
from ml.networks.model import Model
from ml.recorder import Progress, Wish
from ml.spec.evaluation_spec import FileEvaluation
from store import queries
from store.database.tables import Base, Job
from store.experiments.evaluations import NewFile, evaluate_file
from store.experiments.submit import submit
from store.files.curves import Curves, curves
from store.files.objects import ObjectFolder
from store.jobs.checkpoints import checkpoints
from store.settings import settings
from store.states import JobState, RunState
from tests.ml.recorders import Kept
from worker.lease.lease import Lease
from worker.process.settings import worker_settings
from worker.process.stores import Stores, _of_process, stores
from worker.reaping import reap_now
from worker.training import train_next

#: A test that need not see both databases.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

STEPS = 24

PATIENCE = 120.0
"""Seconds for what takes a few on a quiet machine."""


def spec(**training: Any) -> dict[str, Any]:
    """A run of half a second, with a checkpoint every few steps."""
    return {
        "dataset": "digits",
        "model": {"name": "mlp", "hidden": [64], "latent_dim": 4},
        "objective": "beta_vae",
        "training": {
            "steps": STEPS,
            "batch_size": 8,
            "optimizer": {"name": "adam", "learning_rate": 1e-3},
            "checkpoint_minutes": 0.001,
            **training,
        },
        "evaluation": {"metrics": ["mig", "elbo"], "rows": 60, "test_rows": 20},
        "traversal": {"frames": 3},
    }


class Workplace:
    """A home whose settings are this process's own."""

    def __init__(self, database_url: str, home: Path, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        for name in list(os.environ):
            if name.startswith("HEDDLE_"):
                patch.delenv(name)
        self.environment = {
            "HEDDLE_HOME": str(home),
            "HEDDLE_DATABASE_URL": database_url,
            "HEDDLE_TRAIN_THREADS": "1",
            "HEDDLE_BEAT_SECONDS": "0.05",
        }
        self.configure()

    def configure(self, **settings: object) -> None:
        """Change settings of this process, as in `lease_seconds=1`."""
        self.environment |= _variables(settings)
        for name, value in self.environment.items():
            self._patch.setenv(name, value)
        self.leave()

    def leave(self) -> None:
        """Forget what this process has opened and read."""
        if _of_process.cache_info().currsize:
            stores().database.dispose()
        for remembered in (_of_process, settings, worker_settings):
            remembered.cache_clear()

    @property
    def stores(self) -> Stores:
        return stores()

    def post(self, document: dict[str, Any] | None = None, *, force: bool = False) -> str:
        """Submit a spec of one run as the API does; returns the run's id."""
        [run_id] = self.post_sweep(document or spec(), force=force)
        return run_id

    def post_sweep(self, document: dict[str, Any], *, force: bool = False) -> list[str]:
        """Submit a spec as the API does; returns the runs' ids in the order of the sweep."""
        experiment, runs, *_ = plan(self.stores.database, document)
        posted = submit(
            self.stores.database,
            name=experiment.name,
            tags=[],
            notes=None,
            owner=None,
            spec=experiment.document,
            runs=runs,
            force=force,
        )
        return [link.run_id for link in queries.experiment_runs(self.stores.database, posted.id)]

    def send(self, data: bytes, **document: Any) -> str:
        """Ask for the evaluation of a file as the API does; returns its id."""
        spec = FileEvaluation.parse(document)
        sha256, size = self.stores.objects.put(data)
        asked = evaluate_file(
            self.stores.database,
            NewFile(sha256, size, "codes.npz"),
            spec=spec.document(),
            evaluation_key=spec.key(),
            owner=None,
        )
        return asked.id

    def evaluation(self, evaluation_id: str) -> queries.Evaluation:
        return queries.evaluation(self.stores.database, evaluation_id)

    def scores(self, evaluation_id: str) -> list[dict[str, Any]]:
        found = queries.scores_of_evaluation(self.stores.database, evaluation_id)
        return [score.document for score in found]

    def run(self, run_id: str) -> queries.Run:
        return queries.run(self.stores.database, run_id)

    def job(self, run_id: str) -> Job:
        """The job that trains a run."""
        with self.stores.database.read() as session:
            return session.query(Job).filter_by(run_id=run_id, evaluation_id=None).one()

    def checkpoint_steps(self, run_id: str) -> list[int]:
        """Steps of the recorded checkpoints, newest first."""
        return [row.step for row in checkpoints(self.stores.database, run_id)]

    def files(self) -> list[Path]:
        """The checkpoints' files."""
        return sorted(self.stores.checkpoints.root.rglob("*.*"))

    def only_ends_are_kept(self, *run_ids: str) -> bool:
        """Whether these runs have kept their checkpoints at their ends, and there is no other."""
        ends = [checkpoints(self.stores.database, run_id) for run_id in run_ids]
        steps = [self.run(run_id).steps for run_id in run_ids]
        return [[one.step for one in kept] for kept in ends] == [[step] for step in steps] and (
            self.files() == sorted(self.stores.checkpoints.root / kept[0].path for kept in ends)
        )

    def content(self, run_id: str, name: str) -> bytes:
        """An artifact's bytes."""
        sha256 = queries.artifact(self.stores.database, run_id, name).sha256
        return ObjectFolder(self.stores.objects.root).path(sha256).read_bytes()

    def trained(self, run_id: str) -> Trained:
        """What the run's training has left."""
        weights, _ = tensor_file.from_bytes(self.content(run_id, "weights.safetensors"))
        return Trained(weights, self.curves(run_id))

    def curves(self, run_id: str) -> Curves:
        return curves(self.stores.database, self.stores.objects, run_id)

    def rows(self) -> dict[str, list[Any]]:
        """Everything in the database."""
        with self.stores.database.read() as session:
            return {
                table.name: sorted(map(repr, session.execute(table.select())))
                for table in Base.metadata.sorted_tables
            }

    def reap_until_queued(self, run_id: str) -> None:
        """Call the reaper as often as it takes to get the run back from its silent worker."""

        def queued() -> bool:
            reap_now()
            return self.run(run_id).state is RunState.QUEUED

        until(queued)

    def take_back(self, **of: str) -> None:
        """Take the running jobs `of` something from their worker, as if it had long been silent."""

        def taken() -> bool:
            with self.stores.database.write() as session:
                jobs = session.query(Job).filter_by(state=JobState.RUNNING, **of)
                jobs.update({"lease_until": 0.0})
            reap_now()
            with self.stores.database.read() as session:
                return session.query(Job).filter_by(state=JobState.RUNNING, **of).count() == 0

        until(taken)

    @contextmanager
    def another_process(
        self, work: Callable[[], bool] = train_next, **settings: object
    ) -> Iterator[BaseProcess]:
        """A process that does what waits, slowly; killed at the end of the block."""
        environment = self.environment | _variables(settings)
        process = _PROCESSES.Process(target=_work_elsewhere, args=(environment, work), daemon=True)
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()


def flip_a_bit(path: Path) -> None:
    """As a disk may do, which changes neither size nor date."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def left_by(model: Model, kept: Kept) -> Trained:
    """What a run gives that is trained without a worker or a database."""
    weights = {
        f"{network}/{name}": tensor
        for network, named in model.parameters.items()
        for name, tensor in named.items()
    }
    steps = sorted(kept.points.items())
    tags = sorted(kept.points[1])
    return Trained(weights, {tag: [(step, at[tag]) for step, at in steps] for tag in tags})


@dataclass(frozen=True)
class Trained:
    """Weights and curves of a run."""

    weights: dict[str, Tensor]
    curves: Curves

    def same(self, other: Trained) -> bool:
        """Whether every bit of both is equal."""
        return (
            self.weights.keys() == other.weights.keys()
            and all(tensor.equal(other.weights[name]) for name, tensor in self.weights.items())
            and self.curves == other.curves
        )


def slow_down(patch: pytest.MonkeyPatch) -> None:
    """Make steps take long enough for something to happen between the first and the last."""
    progress = Lease.progress
    last: tuple[int, Lease | None] = 0, None

    def slowly(self: Lease, told: Progress) -> Wish:
        nonlocal last
        # The runs of a cohort make a step together, and tell of it one after another.
        with_others = told.step == last[0] and self is not last[1]
        last = told.step, self
        # A run has its first checkpoints soon, and then time for a machine that is busy elsewhere.
        if not with_others:
            time.sleep(0.02 if told.step < STEPS // 3 else 0.1)
        return progress(self, told)

    patch.setattr(Lease, "progress", slowly)


@contextmanager
def meanwhile(work: Callable[[], bool]) -> Iterator[Future[bool]]:
    """Work in a thread while the block goes on; the block's end waits for it."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come true in time"
        time.sleep(0.01)


# A server that has imported torch, but not used it, and forks a worker in a moment.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["sklearn.datasets", __name__])


def _work_elsewhere(environment: dict[str, str], work: Callable[[], bool]) -> None:
    os.environ.update(environment)
    with pytest.MonkeyPatch.context() as patch:
        slow_down(patch)
        work()


def _variables(settings: dict[str, object]) -> dict[str, str]:
    return {f"HEDDLE_{name.upper()}": str(value) for name, value in settings.items()}
