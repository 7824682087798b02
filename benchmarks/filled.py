"""A database with many runs, whose rows are like those that posting, training and scoring leave.

Rows go in by the drivers' own bulk statements, as posting a hundred thousand runs would take
longer than what is measured. The documents of scores come from real metrics, on a few rows, of ten
latents and five factors; each run has values of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation.score import score
from ml.spec.run_spec import RunSpec
from store.database.connection import Database
from store.database.ids import new_id
from store.database.tables import (
    Attempt,
    Base,
    Evaluation,
    Experiment,
    ExperimentRun,
    Job,
    Run,
    Score,
)

SEEDS = 10
"""Runs of a setting."""
METRICS = ["mig", "modularity", {"name": "dci", "predictor": "lasso"}]
"""They give six numbers."""
SMALL = 200
"""Small experiments beside the large ones, each with two of the ended runs."""


@dataclass(frozen=True)
class Filled:
    """What was written."""

    #: The experiment whose runs have ended and have their scores, and the one whose runs wait.
    ended: str
    waiting: str
    #: The ended runs, oldest first.
    runs: Sequence[str]
    #: All experiments, oldest first.
    experiments: Sequence[str]


def fill(database: Database, runs: int, owners: int = 1) -> Filled:
    """Write so many runs that have ended, with six scores each, and as many that wait."""
    ended, waiting = new_id("exp"), new_id("exp")
    write(database, Experiment, [_experiment(ended, "a sweep that ended", ["ended"])])
    places = list(_places(runs))
    write(database, Run, (_run(one, "succeeded") for one in places))
    write(database, Evaluation, (_evaluation(one, "succeeded") for one in places))
    write(database, ExperimentRun, (_link(ended, at, one) for at, one in enumerate(places)))
    write(database, Job, (row for one in places for row in _jobs_done(one)))
    write(database, Attempt, (_attempt(one) for one in places))
    write(database, Score, _scores(places))
    write(database, Experiment, [_experiment(waiting, "a sweep that waits", [])])
    later = list(_places(runs, objective="vae"))
    write(database, Run, (_run(one, "queued") for one in later))
    write(database, Evaluation, (_evaluation(one, "queued") for one in later))
    write(database, ExperimentRun, (_link(waiting, at, one) for at, one in enumerate(later)))
    write(
        database,
        Job,
        (_job(one, "train", "queued", f"owner {at % owners}") for at, one in enumerate(later)),
    )
    small = [new_id("exp") for _ in range(SMALL)]
    write(database, Experiment, (_experiment(id, f"small {id}", ["small"]) for id in small))
    write(
        database,
        ExperimentRun,
        (
            _link(id, at, places[(2 * number + at) % runs])
            for number, id in enumerate(small)
            for at in range(2)
        ),
    )
    return Filled(ended, waiting, [one.run_id for one in places], [ended, waiting, *small])


def write(database: Database, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows by the driver's quickest way. Their JSON is text already."""
    found = iter(rows)
    first = next(found)
    names = ", ".join(f'"{name}"' for name in first)
    values = (tuple(row.values()) for row in _with(first, found))
    with database.write() as session:
        driver: Any = session.connection().connection.driver_connection
        if session.get_bind().dialect.name == "sqlite":
            marks = ", ".join("?" * len(first))
            statement = f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})"  # noqa: S608
            driver.executemany(statement, values)
        else:
            into = f"COPY {table.__tablename__} ({names}) FROM STDIN"
            with driver.cursor() as cursor, cursor.copy(into) as copy:
                for row in values:
                    copy.write_row(row)
    with database.read() as session:
        session.connection().exec_driver_sql("ANALYZE")


def _with(first: Mapping[str, Any], rest: Iterator[Mapping[str, Any]]) -> Iterator[Any]:
    yield first
    yield from rest


@dataclass(frozen=True)
class _Place:
    run_id: str
    evaluation_id: str
    spec: str
    swept: str
    seed: int
    objective: str


def _places(runs: int, objective: str = "beta_vae") -> Iterator[_Place]:
    document = RunSpec.parse({"dataset": "dsprites", "objective": objective}).document()
    for number in range(runs):
        setting, seed = divmod(number, SEEDS)
        path = "objective.beta" if objective == "beta_vae" else "training.optimizer.weight_decay"
        value = round(0.5 + setting / 16, 4)
        _at(document, path.split("."), value)
        document["seed"] = seed
        yield _Place(
            new_id("run"),
            new_id("eval"),
            json.dumps(document),
            json.dumps({path: value, "seed": seed}),
            seed,
            objective,
        )


def _at(document: dict[str, Any], path: Sequence[str], value: float) -> None:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


def _experiment(id: str, name: str, tags: list[str]) -> dict[str, Any]:
    return {
        "id": id,
        "name": name,
        "tags": json.dumps(tags),
        "spec": json.dumps({"dataset": "dsprites", "objective": "beta_vae"}),
        "owner": "ada",
        "priority": 0,
        "created_at": 1.7e9,
        "events": 0,
    }


def _run(one: _Place, state: str) -> dict[str, Any]:
    chance = random.Random(one.run_id)  # noqa: S311 (no secret)
    final = {name: chance.uniform(0, 100) for name in ("loss", "reconstruction", "kl")}
    record = {
        "versions": {"python": "3.11.7", "heddle": "0.1.0", "torch": "2.13.0+cpu"},
        "history": [{"step": 0, "device": "cpu", "threads": 1, "width": 1, "place": 0}],
        "precision": "float32",
        "width": 1,
        "final": final,
    }
    done = state == "succeeded"
    return {
        "id": one.run_id,
        "train_id": one.run_id[4:] * 2,
        "current": True,
        "state": state,
        "spec": one.spec,
        "dataset": "dsprites",
        "objective": one.objective,
        "seed": one.seed,
        "steps": 300_000,
        "record": json.dumps(record) if done else None,
        "created_at": 1.7e9,
        "started_at": 1.7e9 + 10 if done else None,
        "finished_at": 1.7e9 + 1000 if done else None,
    }


def _evaluation(one: _Place, state: str) -> dict[str, Any]:
    return {
        "id": one.evaluation_id,
        "run_id": one.run_id,
        "evaluation_key": "six scores",
        "spec": json.dumps({"evaluation": json.loads(one.spec)["evaluation"]}),
        "state": state,
        "created_at": 1.7e9,
        "finished_at": 1.7e9 + 1000 if state == "succeeded" else None,
    }


def _link(experiment: str, at: int, one: _Place) -> dict[str, Any]:
    return {
        "experiment_id": experiment,
        "position": at,
        "run_id": one.run_id,
        "evaluation_id": one.evaluation_id,
        "swept": one.swept,
        "reused": False,
        "wanted": True,
    }


def _job(one: _Place, kind: str, state: str, owner: str = "ada") -> dict[str, Any]:
    trains = kind == "train"
    return {
        "id": f"job_{kind}_{one.run_id[4:]}",
        "kind": kind,
        "run_id": one.run_id,
        "evaluation_id": None if trains else one.evaluation_id,
        "state": state,
        "priority": 0,
        "owner": owner,
        "created_at": 1.7e9 + one.seed,
        "fence": 1,
        "attempts": 1,
        "losses": 0,
        "cancel_requested": False,
        "cohort_key": f"{one.objective} {one.seed}" if trains else None,
        "pace_key": f"{kind} as ever",
    }


def _jobs_done(one: _Place) -> Iterator[dict[str, Any]]:
    yield _job(one, "train", "done")
    yield _job(one, "evaluate", "done")


def _attempt(one: _Place) -> dict[str, Any]:
    return {
        "job_id": f"job_train_{one.run_id[4:]}",
        "fence": 1,
        "kind": "train",
        "run_id": one.run_id,
        "owner": "ada",
        "worker": "a worker",
        "device_model": "cpu",
        "began_at": 1.7e9 + 10,
        "ended_at": 1.7e9 + 900,
        "end": "done",
        "together": 1,
        "measured": json.dumps({"from_step": 0, "to_step": 300_000, "step_seconds": 800.0}),
    }


def _scores(places: Sequence[_Place]) -> Iterator[dict[str, Any]]:
    documents = [one.model_dump(mode="json") for one in _scored()]
    # The details are most of a document, and are the same in all.
    details = [json.dumps(document.pop("details")) for document in documents]
    for place in places:
        chance = random.Random(place.run_id)  # noqa: S311 (no secret)
        for position, document in enumerate(documents):
            value = chance.random()
            null = document["null"] | {"mean": value / 10, "std": value / 100}
            ci95 = [value - 0.01, value + 0.01]
            own = json.dumps(document | {"value": value, "null": null, "ci95": ci95})
            yield {
                "run_id": place.run_id,
                "evaluation_id": place.evaluation_id,
                "position": position,
                "document": f'{own[:-1]}, "details": {details[position]}}}',
            }


def _scored() -> list[Any]:
    draws = np.random.default_rng(0)
    factors = np.stack([draws.integers(0, size, 300) for size in (3, 6, 8, 8, 8)], axis=1)
    codes = np.concatenate([factors + draws.normal(size=(300, 5)), draws.normal(size=(300, 5))], 1)
    return score(codes, factors, METRICS)
