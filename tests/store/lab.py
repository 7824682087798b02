"""A lab that uses the store as the API and the workers do, in short words for tests."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import text

from store.database.connection import Database
from store.experiments.evaluations import Asked, NewFile, evaluate_file, evaluate_run
from store.experiments.new_run import NewRun
from store.experiments.submit import submit
from store.jobs.claim import Claim, claim
from store.jobs.finish import finish_evaluation, finish_training
from store.queries import ExperimentRun, evaluation, events, experiment, experiment_runs, run
from store.scheduling.fair_share import Rules
from store.scheduling.queue import queue
from store.states import ExperimentState, JobKind, RunState

TRAIN, EVALUATE = JobKind.TRAIN, JobKind.EVALUATE
ERROR = {"type": "ValueError", "message": "the loss is not a number", "advice": "lower the rate"}


def new_run(train_id: str, *, evaluation: str = "mig", **others: Any) -> NewRun:
    values: dict[str, Any] = {
        "spec": {"objective": {"name": "beta_vae", "beta": 4.0}, "seed": 0},
        "train_id": train_id,
        "evaluation": {"evaluation": {"metrics": [evaluation]}, "traversal": {"frames": 11}},
        "evaluation_key": evaluation,
        "swept": {"seed": train_id},
        "dataset": "dsprites",
        "objective": "beta_vae",
        "seed": 0,
        "steps": 1000,
        "cohort_key": "one",
        "pace_key": "one",
        # So many that it is not short.
        "images": 64_000_000,
    }
    return NewRun(**values | others)


class Lab:
    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers = itertools.count()

    def fresh(self) -> int:
        """A number that this lab has not given before."""
        return next(self._numbers)

    def post(self, *train_ids: str, evaluation: str = "mig", **options: Any) -> str:
        """An experiment with one run for each of these identities."""
        values: dict[str, Any] = {
            "name": "beta sweep",
            "tags": ["demo"],
            "notes": None,
            "owner": "ada",
            "spec": {"dataset": {"name": "dsprites"}},
            "runs": [new_run(train_id, evaluation=evaluation) for train_id in train_ids],
        }
        return submit(self.database, **values | options).id

    def take(self, kind: JobKind = TRAIN, *, worker: str = "w", lease: float = 30.0) -> Claim:
        [taken] = self.take_all(kind, worker=worker, lease=lease, width=1)
        return taken

    def take_all(
        self, kind: JobKind, *, worker: str = "w", lease: float = 30.0, width: int = 100
    ) -> list[Claim]:
        return claim(self.database, kind, worker=worker, lease_seconds=lease, width=width)

    def train(self) -> None:
        """Train every run that waits for it."""
        for taken in self.take_all(TRAIN):
            finish_training(self.database, taken, record={"device": "cpu"})

    def evaluate(self) -> None:
        """Evaluate all that waits for it."""
        for taken in self.take_all(EVALUATE):
            finish_evaluation(self.database, taken, scores=[{"name": "mig", "value": 0.25}])

    def send(self, content: str = "codes", key: str = "mig", **options: Any) -> Asked:
        """A file to be evaluated; its digest is made up from the name of its content."""
        values: dict[str, Any] = {"spec": {"metrics": [key]}, "owner": "ada"}
        file = NewFile(sha256=f"{content:0>64}", size=3, name=f"{content}.npz")
        return evaluate_file(self.database, file, evaluation_key=key, **values | options)

    def evaluate_again(self, run_id: str, key: str) -> Asked:
        """One more evaluation of a run."""
        spec = {"evaluation": {"metrics": [key]}, "traversal": {"frames": 11}}
        return evaluate_run(self.database, run_id, spec=spec, evaluation_key=key, owner="ada")

    def evaluation_state(self, evaluation_id: str) -> str:
        return str(evaluation(self.database, evaluation_id).state)

    def links(self, experiment_id: str) -> list[ExperimentRun]:
        return experiment_runs(self.database, experiment_id)

    def run_of(self, experiment_id: str) -> str:
        """The id of an experiment's only run."""
        [link] = self.links(experiment_id)
        return link.run_id

    def state(self, run_id: str) -> RunState:
        return run(self.database, run_id).state

    def states(self, experiment_id: str) -> list[str]:
        """How an experiment's runs count in it, in order."""
        return [str(link.state) for link in self.links(experiment_id)]

    def position(self, run_id: str) -> int | None:
        """The place of a run's training in the queue."""
        place = queue(self.database, TRAIN, Rules()).of_run.get(run_id)
        return None if place is None else place.position

    def experiment_state(self, experiment_id: str) -> ExperimentState:
        return experiment(self.database, experiment_id).state

    def events(self, experiment_id: str) -> list[str]:
        """The types of an experiment's events, in order."""
        return [event.type for event in events(self.database, experiment_id)]


def scans(lab: Lab) -> int:
    """How often PostgreSQL has read tables from end to end so far."""
    with lab.database.write() as session:
        # Every connection tells what it did when its transaction has ended, but not each time.
        session.execute(text("SELECT pg_stat_force_next_flush()"))
    with lab.database.read() as session:
        found = session.scalar(text("SELECT sum(seq_scan) FROM pg_stat_user_tables"))
    return int(found)
