"""Reading results for tables: of an experiment's places, or of all runs on a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.database.rows import parts
from store.errors import NotFound
from store.queries.json_columns import without_key
from store.states import EvaluationState, RunState, linked_state


@dataclass(frozen=True, slots=True)
class PlaceResult:
    """One place of an experiment's sweep, with the scores of the evaluation that it asked for."""

    run_id: str
    train_id: str
    swept: dict[str, Any]
    #: As it counts in the experiment.
    state: RunState
    spec: dict[str, Any]
    record: dict[str, Any] | None
    error: dict[str, Any] | None
    #: The documents of the scores without their details, in order. There are none before the
    #: evaluation has succeeded.
    scores: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RankedScore:
    """A score of a trained run on a data set."""

    run_id: str
    #: The document of the score without its details.
    document: dict[str, Any]


def place_results(database: Database, experiment_id: str) -> list[PlaceResult]:
    """Every place of an experiment's sweep with its results, in order. This takes few queries.

    Raises:
        NotFound: if there is no such experiment.
    """
    link, run, evaluation = tables.ExperimentRun, tables.Run, tables.Evaluation
    with database.read() as session:
        if session.get(tables.Experiment, experiment_id) is None:
            raise NotFound("experiment", experiment_id)
        rows = session.execute(
            select(
                link.run_id,
                run.train_id,
                link.swept,
                link.wanted,
                run.state,
                run.spec,
                run.record,
                run.error,
                evaluation.id,
                evaluation.state,
                evaluation.error,
            )
            .join(run, run.id == link.run_id)
            .join(evaluation, evaluation.id == link.evaluation_id)
            .where(link.experiment_id == experiment_id)
            .order_by(link.position)
        ).all()
        scored = (row[8] for row in rows if row[9] is EvaluationState.SUCCEEDED)
        scores = _scores(session, scored)
    return [
        PlaceResult(
            run_id=run_id,
            train_id=train_id,
            swept=swept,
            state=linked_state(run_state, evaluation_state, wanted=wanted),
            spec=spec,
            record=record,
            error=error or evaluation_error,
            scores=scores[evaluation_id],
        )
        for (
            run_id,
            train_id,
            swept,
            wanted,
            run_state,
            spec,
            record,
            error,
            evaluation_id,
            evaluation_state,
            evaluation_error,
        ) in rows
    ]


def scores_on(
    database: Database, dataset: str, *, objective: str | None = None, metric: str | None = None
) -> tuple[list[RankedScore], dict[str, dict[str, Any]]]:
    """Every score of runs on a data set, oldest first, and the specs of those runs by id.

    Runs that `force` has replaced by newer ones are left out.
    """
    run, score = tables.Run, tables.Score
    conditions = [run.dataset == dataset, run.current]
    if objective is not None:
        conditions.append(run.objective == objective)
    with database.read() as session:
        specs: dict[str, dict[str, Any]] = {}
        for id, spec in session.execute(select(run.id, run.spec).where(*conditions)).all():
            specs[id] = spec
        document = without_key(session, score.document, "details")
        rows = [
            row
            for part in parts(specs)
            for row in session.execute(
                select(score.run_id, document).where(score.run_id.in_(part)).order_by(score.id)
            ).all()
        ]
    found = [
        RankedScore(run_id, one)
        for run_id, one in rows
        if metric is None or one["metric"] == metric
    ]
    return found, specs


def _scores(session: Session, evaluation_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    score = tables.Score
    document = without_key(session, score.document, "details")
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for part in parts(evaluation_ids):
        for evaluation_id, one in session.execute(
            select(score.evaluation_id, document)
            .where(score.evaluation_id.in_(part))
            .order_by(score.evaluation_id, score.position)
        ):
            found[evaluation_id].append(one)
    return found
