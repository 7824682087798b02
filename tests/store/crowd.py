"""Many experiments at once, written row by row and not by what the store does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert

from store.database.connection import Database
from store.database.ids import new_id
from store.database.tables import Evaluation, Experiment, ExperimentRun, Job, Run
from store.jobs.demand import new_job
from store.states import EvaluationState, JobKind, JobState, RunState


class Place(NamedTuple):
    """How a place of an experiment's sweep stands."""

    run: RunState
    evaluation: EvaluationState
    wanted: bool = True


def crowd(
    database: Database, experiments: Iterable[Sequence[Place]], spec: dict[str, Any] | None = None
) -> list[str]:
    """Experiments with such places, each of a run of its own; returns their ids, oldest first."""
    ids: list[str] = []
    rows: dict[Any, list[dict[str, Any]]] = {
        table: [] for table in (Experiment, Run, Evaluation, ExperimentRun, Job)
    }
    for places in experiments:
        ids.append(new_id("exp"))
        rows[Experiment].append(
            {
                "id": ids[-1],
                "name": "one of many",
                "tags": [],
                "spec": spec or {},
                "owner": "ada",
                "priority": 0,
                "created_at": 1.0,
                "events": 0,
            }
        )
        for position, place in enumerate(places):
            run_id, evaluation_id = new_id("run"), new_id("eval")
            rows[Run].append(
                {
                    "id": run_id,
                    "train_id": run_id,
                    "current": True,
                    "state": place.run,
                    "spec": spec or {},
                    "dataset": "digits",
                    "objective": "vae",
                    "seed": 0,
                    "steps": 1000,
                    "created_at": 1.0,
                }
            )
            rows[Evaluation].append(
                {
                    "id": evaluation_id,
                    "run_id": run_id,
                    "evaluation_key": "mig",
                    "spec": {},
                    "state": place.evaluation,
                    "created_at": 1.0,
                }
            )
            rows[ExperimentRun].append(
                {
                    "experiment_id": ids[-1],
                    "position": position,
                    "run_id": run_id,
                    "evaluation_id": evaluation_id,
                    "swept": {"seed": position},
                    "reused": False,
                    "wanted": place.wanted,
                }
            )
            job = new_job(
                JobKind.TRAIN,
                run_id=run_id,
                evaluation_id=None,
                priority=0,
                owner="ada",
                now=1.0,
                pace_key="one",
            )
            state = JobState.QUEUED if place.run is RunState.QUEUED else JobState.DONE
            rows[Job].append(job | {"state": state})
    with database.write() as session:
        for table, values in rows.items():
            if values:
                session.execute(insert(table), values)
    return ids
