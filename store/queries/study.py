"""Reading results for tables: of an experiment's places, or of all runs on a data set.

A table may be of a hundred thousand runs with six scores each, so nothing here is taken apart that
equals what was taken apart before: what many runs have in common comes as text, and equal texts are
one object. A table that was read before is known by a digest of the rows that it was made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.errors import NotFound
from store.queries.json_columns import text_at, text_without_key
from store.states import EvaluationState, RunState, linked_state


class StoredScore(NamedTuple):
    """A score as two JSON arrays (`store.database.score_parts`), without its details."""

    #: What scores of many runs have in common. Equal texts are one object.
    setting: str
    #: Its own value, error, null and interval.
    numbers: str


class StoredScores(NamedTuple):
    """The scores of an evaluation, in order: each part of all of them as one text, by lines."""

    #: Equal texts are one object.
    settings: str
    numbers: str


@dataclass(frozen=True, slots=True)
class PlaceResult:
    """One place of an experiment's sweep, with the scores of the evaluation that it asked for."""

    run_id: str
    train_id: str
    swept: dict[str, Any]
    #: As it counts in the experiment.
    state: RunState
    #: The run's spec without its seed, as JSON. Equal texts are one object.
    spec: str
    seed: int
    #: The ends of the training curves by tag, once the run is trained.
    final: dict[str, float]
    error: dict[str, Any] | None
    #: None before the evaluation has succeeded, or if it has none.
    scores: StoredScores | None


class RankedScore(NamedTuple):
    """A score of a trained run on a data set."""

    run_id: str
    score: StoredScore


@dataclass(frozen=True, slots=True)
class RankedRun:
    """A run on a data set."""

    #: Its spec without its seed, as JSON. Equal texts are one object.
    spec: str
    seed: int


@dataclass(frozen=True, slots=True)
class StudyResults:
    """The results of an experiment."""

    #: It changes with everything here (`study_digest`).
    digest: str
    name: str | None
    #: Every place of the sweep, in order.
    places: list[PlaceResult]


@dataclass(frozen=True, slots=True)
class DatasetScores:
    """The scores of runs on a data set."""

    #: It changes with everything here (`scores_digest`).
    digest: str
    #: The oldest first.
    scores: list[RankedScore]
    #: The runs by their ids, those without scores included.
    runs: dict[str, RankedRun]


def study_results(database: Database, experiment_id: str) -> StudyResults:
    """The results of an experiment so far. This takes few queries.

    Raises:
        NotFound: if there is no such experiment.
    """
    link, run, evaluation = tables.ExperimentRun, tables.Run, tables.Evaluation
    with database.read() as session:
        name, digest = _study_digest(session, experiment_id)
        rows = (
            session.connection()
            .execute(
                select(
                    link.run_id,
                    run.train_id,
                    cast(link.swept, Text),
                    link.wanted,
                    run.state,
                    text_without_key(session, run.spec, "seed"),
                    run.seed,
                    text_at(session, run.record, "final"),
                    run.error,
                    evaluation.id,
                    evaluation.state,
                    evaluation.error,
                )
                .join(run, run.id == link.run_id)
                .join(evaluation, evaluation.id == link.evaluation_id)
                .where(link.experiment_id == experiment_id)
                .order_by(link.position)
            )
            .all()
        )
        scores = _scores(session, experiment_id)
    swept_values = _parsed(row[2] for row in rows)
    finals = _parsed(row[7] for row in rows)
    specs: dict[str, str] = {}
    places = [
        PlaceResult(
            run_id=run_id,
            train_id=train_id,
            swept=swept,
            state=linked_state(run_state, evaluation_state, wanted=wanted),
            spec=specs.setdefault(spec, spec),
            seed=seed,
            final=final or {},
            error=error or evaluation_error,
            scores=scores.get(evaluation_id)
            if evaluation_state is EvaluationState.SUCCEEDED
            else None,
        )
        for (
            run_id,
            train_id,
            _,
            wanted,
            run_state,
            spec,
            seed,
            _,
            error,
            evaluation_id,
            evaluation_state,
            evaluation_error,
        ), swept, final in zip(rows, swept_values, finals, strict=True)
    ]
    return StudyResults(digest, name, places)


class StudyDigest(NamedTuple):
    """What tells the results of an experiment from earlier ones."""

    name: str | None
    digest: str


def study_digest(database: Database, experiment_id: str) -> StudyDigest:
    """The experiment's name, and a digest of all that `study_results` depends on.

    Scores are not looked at: they are written in the transaction in which their evaluation
    succeeds, and stay as they are for as long as it is there.

    Raises:
        NotFound: if there is no such experiment.
    """
    with database.read() as session:
        return _study_digest(session, experiment_id)


def _study_digest(session: Session, experiment_id: str) -> StudyDigest:
    link, run, evaluation = tables.ExperimentRun, tables.Run, tables.Evaluation
    experiment = session.execute(
        select(tables.Experiment.name, tables.Experiment.events).where(
            tables.Experiment.id == experiment_id
        )
    ).one_or_none()
    if experiment is None:
        raise NotFound("experiment", experiment_id)
    if _is_postgresql(session):
        # A row's xmin is the transaction that wrote it last, so it changes with every change.
        parts: list[Any] = [
            literal_column(f"{one.__tablename__}.xmin") for one in (link, run, evaluation)
        ]
    else:
        # A renamed data set changes a spec and the column `dataset` together. All else in a spec
        # stays as it is. What ends in the same way again does so at another time.
        parts = [
            link.wanted,
            run.state,
            run.dataset,
            run.finished_at,
            run.error,
            run.record,
            evaluation.state,
            evaluation.finished_at,
            evaluation.error,
        ]
    rows = (
        select(_line(parts).label("line"))
        .select_from(link)
        .join(run, run.id == link.run_id)
        .join(evaluation, evaluation.id == link.evaluation_id)
        .where(link.experiment_id == experiment_id)
        .order_by(link.position)
    )
    digest = _digest([experiment_id, *experiment], _lines(session, rows))
    return StudyDigest(experiment.name, digest)


def scores_on(database: Database, dataset: str, *, objective: str | None = None) -> DatasetScores:
    """Every score of runs on a data set, and those runs.

    Runs that `force` has replaced by newer ones are left out.
    """
    run, score = tables.Run, tables.Score
    which = _on(dataset, objective)
    with database.read() as session:
        digest = _scores_digest(session, dataset, objective)
        found = (
            session.connection()
            .execute(
                select(run.id, text_without_key(session, run.spec, "seed"), run.seed).where(*which)
            )
            .all()
        )
        rows = _raw(
            session,
            select(score.id, score.run_id, score.setting, score.numbers).where(
                score.run_id.in_(select(run.id).where(*which))
            ),
        )
    specs: dict[str, str] = {}
    runs = {id: RankedRun(specs.setdefault(spec, spec), seed) for id, spec, seed in found}
    rows.sort(key=itemgetter(0))
    same: dict[str, str] = {}
    scores = [
        RankedScore(run_id, StoredScore(same.setdefault(setting, setting), numbers))
        for _, run_id, setting, numbers in rows
    ]
    return DatasetScores(digest, scores, runs)


def scores_digest(database: Database, dataset: str, *, objective: str | None = None) -> str:
    """A digest of all that `scores_on` depends on. A run's scores are only ever added to."""
    with database.read() as session:
        return _scores_digest(session, dataset, objective)


def _scores_digest(session: Session, dataset: str, objective: str | None) -> str:
    run, score = tables.Run, tables.Score
    number = select(func.count()).where(score.run_id == run.id).correlate(run).scalar_subquery()
    rows = (
        select(_line([run.id, number]).label("line"))
        .where(*_on(dataset, objective))
        .order_by(run.id)
    )
    return _digest([dataset, objective], _lines(session, rows))


def _on(dataset: str, objective: str | None) -> list[ColumnElement[bool]]:
    run = tables.Run
    which: list[ColumnElement[bool]] = [run.dataset == dataset, run.current.is_(True)]
    if objective is not None:
        which.append(run.objective == objective)
    return which


def _scores(session: Session, experiment_id: str) -> dict[str, StoredScores]:
    """The scores of each evaluation that an experiment asked for."""
    link, score = tables.ExperimentRun, tables.Score
    asked_for = select(link.evaluation_id).where(link.experiment_id == experiment_id)
    rows = _raw(
        session,
        select(
            score.evaluation_id,
            _joined(session, cast(score.position, Text)),
            _joined(session, score.setting),
            _joined(session, score.numbers),
        )
        .where(score.evaluation_id.in_(asked_for))
        .group_by(score.evaluation_id),
    )
    same: dict[str, str] = {}
    found = {}
    for evaluation_id, positions, settings, numbers in rows:
        order = _order(positions)
        if order is not None:
            settings, numbers = _put(settings, order), _put(numbers, order)
        found[evaluation_id] = StoredScores(same.setdefault(settings, settings), numbers)
    return found


def _joined(session: Session, column: Any) -> ColumnElement[str]:
    """The values of a group as lines. No value has a line break, as JSON escapes them."""
    if _is_postgresql(session):
        lines = aggregate_order_by(literal("\n", Text), tables.Score.position)
        return func.string_agg(column, lines, type_=Text)
    # Its order is that of the index by which the rows are found, but nothing promises it.
    return func.group_concat(column, "\n", type_=Text)


@lru_cache(maxsize=1_000)
def _order(positions: str) -> tuple[int, ...] | None:
    """Where to take each line from, or None if they stand in the order of their positions."""
    numbers = [int(position) for position in positions.split("\n")]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    return None if order == list(range(len(numbers))) else tuple(order)


def _put(lines: str, order: Iterable[int]) -> str:
    found = lines.split("\n")
    return "\n".join(found[place] for place in order)


def _raw(session: Session, query: Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows as the driver gives them: numbers and text need nothing else."""
    result: Any = session.connection().execute(query)
    rows: list[tuple[Any, ...]] = result.cursor.fetchall()
    result.close()
    return rows


def _parsed(texts: Iterable[str | None]) -> list[Any]:
    """The values of JSON texts, in one go."""
    found: list[Any] = json.loads(f"[{','.join(text or 'null' for text in texts)}]")
    return found


def _line(parts: Sequence[Any]) -> ColumnElement[str]:
    """The columns as one text. Neither JSON nor a name has the character between them."""
    line: ColumnElement[str] = literal("", Text)
    for part in parts:
        line = line.concat(func.coalesce(cast(part, Text), "")).concat("\x1f")
    return line


def _lines(session: Session, rows: Select[str]) -> str:
    """All of the lines as one text, or its hash."""
    inner = rows.subquery()
    if _is_postgresql(session):
        return session.scalar(select(func.md5(func.string_agg(inner.c.line, "\x1e")))) or ""
    return session.scalar(select(func.group_concat(inner.c.line, "\x1e"))) or ""


def _digest(said: Sequence[object], lines: str) -> str:
    digest = hashlib.blake2b(repr(said).encode(), digest_size=32)
    digest.update(lines.encode())
    return digest.hexdigest()


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
