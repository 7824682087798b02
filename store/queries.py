"""What there is to see: plain values for whoever shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from store import tables
from store.cursors import Page, cut, decode
from store.database import Database
from store.errors import NotFound
from store.parts import parts
from store.states import (
    EvaluationState,
    ExperimentState,
    JobKind,
    JobState,
    RunState,
    experiment_state,
    linked_state,
)

#: {tag: [(step, value), …]} in rising order of steps; None stands for a number not finite.
Curves = dict[str, list[tuple[int, float | None]]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment, and how its runs stand."""

    id: str
    name: str | None
    tags: list[str]
    notes: str | None
    spec: dict[str, Any]
    owner: str | None
    priority: int
    created_at: float
    #: Number of the newest event; 0 when there is none.
    events: int
    state: ExperimentState
    #: How many places of the sweep are in each state, as they count here (`linked_state`).
    counts: dict[RunState, int]


@dataclass(frozen=True, slots=True)
class ExperimentRun:
    """A place of an experiment's sweep."""

    experiment_id: str
    position: int
    run_id: str
    train_id: str
    evaluation_id: str
    swept: dict[str, Any]
    reused: bool
    #: As it counts in this experiment.
    state: RunState


@dataclass(frozen=True, slots=True)
class Run:
    """A run, with what its workers last told."""

    id: str
    train_id: str
    #: False once `force` has put a newer run in its place.
    current: bool
    state: RunState
    spec: dict[str, Any]
    dataset: str
    objective: str
    seed: int
    steps: int
    error: dict[str, Any] | None
    record: dict[str, Any] | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    #: How often workers have begun or gone on with its training.
    attempts: int
    #: Who trains it, or did last; None while it waits.
    worker: str | None
    #: As the last beat gave it: of the evaluation while one goes on, else of the training.
    progress: dict[str, Any] | None
    #: Its training is to stop, and has not yet.
    cancel_requested: bool
    #: Experiments that hold it, oldest first.
    experiments: list[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of a run."""

    id: str
    run_id: str
    evaluation_key: str
    #: `{evaluation, traversal}`, resolved.
    spec: dict[str, Any]
    state: EvaluationState
    error: dict[str, Any] | None
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """One score, as `ml` gave it."""

    run_id: str
    evaluation_id: str
    position: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a run left; its bytes are in the object folder."""

    run_id: str
    #: None for what the training left.
    evaluation_id: str | None
    name: str
    sha256: str
    media_type: str
    bytes: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in an experiment."""

    experiment_id: str
    number: int
    type: str
    data: dict[str, Any]
    created_at: float


def experiment(database: Database, id: str) -> Experiment:
    """One experiment.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        row = session.get(tables.Experiment, id)
        if row is None:
            raise NotFound("experiment", id)
        return _experiments(session, [row])[0]


def experiments(database: Database, *, limit: int, cursor: str | None = None) -> Page[Experiment]:
    """Experiments, newest first.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    query = select(tables.Experiment).order_by(tables.Experiment.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tables.Experiment.id < decode(cursor, "exp"))
    with database.read() as session:
        return cut(_experiments(session, session.scalars(query).all()), limit)


def experiment_runs(database: Database, experiment_id: str) -> list[ExperimentRun]:
    """Every place of an experiment's sweep, in order.

    Raises:
        NotFound: if there is no such experiment.
    """
    link, run = tables.ExperimentRun, tables.Run
    with database.read() as session:
        if session.get(tables.Experiment, experiment_id) is None:
            raise NotFound("experiment", experiment_id)
        rows = session.execute(
            select(
                link.position,
                link.run_id,
                run.train_id,
                link.evaluation_id,
                link.swept,
                link.reused,
                link.wanted,
                run.state,
                tables.Evaluation.state,
            )
            .join(run, run.id == link.run_id)
            .join(tables.Evaluation, tables.Evaluation.id == link.evaluation_id)
            .where(link.experiment_id == experiment_id)
            .order_by(link.position)
        )
        return [
            ExperimentRun(
                experiment_id=experiment_id,
                position=position,
                run_id=run_id,
                train_id=train_id,
                evaluation_id=evaluation_id,
                swept=swept,
                reused=reused,
                state=linked_state(run_state, evaluation_state, wanted=wanted),
            )
            for (
                position,
                run_id,
                train_id,
                evaluation_id,
                swept,
                reused,
                wanted,
                run_state,
                evaluation_state,
            ) in rows
        ]


def run(database: Database, id: str) -> Run:
    """One run.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        found = _runs(session, _SELECT_RUNS.where(tables.Run.id == id))
        if not found:
            raise NotFound("run", id)
        return found[0]


def runs(
    database: Database,
    *,
    experiment: str | None = None,
    state: RunState | None = None,
    dataset: str | None = None,
    objective: str | None = None,
    tag: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[Run]:
    """Runs that meet every condition given, newest first, each once.

    Args:
        database: where to look.
        experiment: only runs that this experiment holds; an unknown one holds none.
        state: only runs in this state of their own, whatever they count as in an experiment.
        dataset: only runs on the dataset of this name.
        objective: only runs with the objective of this name.
        tag: only runs that some experiment with this tag holds.
        limit: at most so many.
        cursor: where the previous page ended.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    query = _SELECT_RUNS.order_by(tables.Run.id.desc()).limit(limit + 1)
    link = tables.ExperimentRun
    if cursor is not None:
        query = query.where(tables.Run.id < decode(cursor, "run"))
    if experiment is not None:
        query = query.where(
            tables.Run.id.in_(select(link.run_id).where(link.experiment_id == experiment))
        )
    if state is not None:
        query = query.where(tables.Run.state == state)
    if dataset is not None:
        query = query.where(tables.Run.dataset == dataset)
    if objective is not None:
        query = query.where(tables.Run.objective == objective)
    with database.read() as session:
        if tag is not None:
            tagged = (
                select(link.run_id)
                .join(tables.Experiment, tables.Experiment.id == link.experiment_id)
                .where(_has_tag(session, tag))
            )
            query = query.where(tables.Run.id.in_(tagged))
        return cut(_runs(session, query), limit)


def spec_of(database: Database, run_id: str) -> dict[str, Any]:
    """The resolved spec that a run is trained under.

    Raises:
        NotFound: if there is no such run.
    """
    with database.read() as session:
        row = session.get(tables.Run, run_id)
        if row is None:
            raise NotFound("run", run_id)
        return row.spec


def evaluations(database: Database, run_id: str) -> list[Evaluation]:
    """Every evaluation that was asked for of a run, oldest first."""
    with database.read() as session:
        rows = session.scalars(
            select(tables.Evaluation)
            .where(tables.Evaluation.run_id == run_id)
            .order_by(tables.Evaluation.id)
        )
        return [_evaluation(row) for row in rows]


def evaluation(database: Database, id: str) -> Evaluation:
    """One evaluation.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        row = session.get(tables.Evaluation, id)
        if row is None:
            raise NotFound("evaluation", id)
        return _evaluation(row)


def scores(database: Database, run_id: str, *, evaluation_id: str | None = None) -> list[Score]:
    """A run's scores: of one evaluation, or of all, in the order that these were asked for.

    Raises:
        NotFound: if there is no such run.
    """
    query = (
        select(tables.Score)
        .where(tables.Score.run_id == run_id)
        .order_by(tables.Score.evaluation_id, tables.Score.position)
    )
    if evaluation_id is not None:
        query = query.where(tables.Score.evaluation_id == evaluation_id)
    with database.read() as session:
        _check_run(session, run_id)
        return [
            Score(
                run_id=row.run_id,
                evaluation_id=row.evaluation_id,
                position=row.position,
                document=row.document,
            )
            for row in session.scalars(query)
        ]


def scalars(database: Database, run_id: str, tags: Collection[str] | None = None) -> Curves:
    """A run's training curves, of these tags or of all.

    Where a later attempt has trained a step again, its value is the one that counts.

    Raises:
        NotFound: if there is no such run.
    """
    merged: dict[str, dict[int, float | None]] = defaultdict(dict)
    with database.read() as session:
        _check_run(session, run_id)
        chunks = session.scalars(
            select(tables.Scalars.points)
            .where(tables.Scalars.run_id == run_id)
            .order_by(tables.Scalars.fence, tables.Scalars.id)
        )
        for points in chunks:
            for tag, values in points.items():
                if tags is None or tag in tags:
                    merged[tag].update(values)
    return {tag: sorted(merged[tag].items(), key=lambda point: point[0]) for tag in sorted(merged)}


def artifacts(database: Database, run_id: str) -> list[Artifact]:
    """A run's artifacts by name, the newest of each.

    Raises:
        NotFound: if there is no such run.
    """
    with database.read() as session:
        _check_run(session, run_id)
        rows = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.run_id == run_id)
            .order_by(tables.Artifact.id)
        )
        newest = {row.name: row for row in rows}
        return [_artifact(newest[name]) for name in sorted(newest)]


def artifact(database: Database, run_id: str, name: str) -> Artifact:
    """The newest artifact of this name that a run left.

    Raises:
        NotFound: if the run has none of this name.
    """
    with database.read() as session:
        row = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.run_id == run_id, tables.Artifact.name == name)
            .order_by(tables.Artifact.id.desc())
            .limit(1)
        ).one_or_none()
        if row is None:
            raise NotFound(f"artifact of run {run_id} named", name)
        return _artifact(row)


def artifact_by_sha(database: Database, sha256: str) -> Artifact:
    """An artifact with this content, of whichever run left it last.

    Raises:
        NotFound: if no run left such content.
    """
    with database.read() as session:
        row = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.sha256 == sha256)
            .order_by(tables.Artifact.id.desc())
            .limit(1)
        ).one_or_none()
        if row is None:
            raise NotFound("artifact with SHA-256", sha256)
        return _artifact(row)


def events(
    database: Database, experiment_id: str, *, after: int = 0, limit: int = 1000
) -> list[Event]:
    """An experiment's events in order, from the one after number `after`.

    Raises:
        NotFound: if there is no such experiment.
    """
    with database.read() as session:
        if session.get(tables.Experiment, experiment_id) is None:
            raise NotFound("experiment", experiment_id)
        rows = session.scalars(
            select(tables.Event)
            .where(tables.Event.experiment_id == experiment_id, tables.Event.number > after)
            .order_by(tables.Event.number)
            .limit(limit)
        )
        return [
            Event(
                experiment_id=row.experiment_id,
                number=row.number,
                type=row.type,
                data=row.data,
                created_at=row.created_at,
            )
            for row in rows
        ]


def queue_position(database: Database, run_id: str) -> int | None:
    """The place of a run's waiting job among those of its kind; the next to be taken has 1.

    None if nothing of the run waits for a worker.
    """
    job = tables.Job
    with database.read() as session:
        waiting = session.execute(
            select(job.kind, job.priority, job.created_at, job.id)
            .where(job.run_id == run_id, job.state == JobState.QUEUED)
            .order_by(job.priority.desc(), job.created_at, job.id)
            .limit(1)
        ).one_or_none()
        if waiting is None:
            return None
        kind, priority, created_at, job_id = waiting
        before = or_(
            job.priority > priority,
            (job.priority == priority) & (job.created_at < created_at),
            (job.priority == priority) & (job.created_at == created_at) & (job.id < job_id),
        )
        ahead = session.scalar(
            select(func.count()).where(job.kind == kind, job.state == JobState.QUEUED, before)
        )
        return 1 + (ahead or 0)


_SELECT_RUNS = select(tables.Run, tables.Job).join(
    tables.Job, (tables.Job.run_id == tables.Run.id) & (tables.Job.kind == JobKind.TRAIN)
)


def _check_run(session: Session, run_id: str) -> None:
    if session.scalar(select(tables.Run.id).where(tables.Run.id == run_id)) is None:
        raise NotFound("run", run_id)


def _has_tag(session: Session, tag: str) -> ColumnElement[bool]:
    tags = tables.Experiment.tags
    if session.get_bind().dialect.name == "postgresql":
        return cast(tags, JSONB).contains([tag])
    each = func.json_each(tags).table_valued("value")
    return select(true()).select_from(each).where(cast(each.c.value, Text) == tag).exists()


def _experiments(session: Session, rows: Sequence[tables.Experiment]) -> list[Experiment]:
    counts = _counts(session, [row.id for row in rows])
    return [
        Experiment(
            id=row.id,
            name=row.name,
            tags=row.tags,
            notes=row.notes,
            spec=row.spec,
            owner=row.owner,
            priority=row.priority,
            created_at=row.created_at,
            events=row.events,
            state=experiment_state(counts[row.id]),
            counts=counts[row.id],
        )
        for row in rows
    ]


def _counts(session: Session, experiment_ids: list[str]) -> dict[str, dict[RunState, int]]:
    link = tables.ExperimentRun
    rows = session.execute(
        select(
            link.experiment_id,
            tables.Run.state,
            tables.Evaluation.state,
            link.wanted,
            func.count(),
        )
        .join(tables.Run, tables.Run.id == link.run_id)
        .join(tables.Evaluation, tables.Evaluation.id == link.evaluation_id)
        .where(link.experiment_id.in_(experiment_ids))
        .group_by(link.experiment_id, tables.Run.state, tables.Evaluation.state, link.wanted)
    )
    counts = {id: dict.fromkeys(RunState, 0) for id in experiment_ids}
    for experiment_id, run_state, evaluation_state, wanted, count in rows:
        counts[experiment_id][linked_state(run_state, evaluation_state, wanted=wanted)] += count
    return counts


def _runs(session: Session, query: Select[tables.Run, tables.Job]) -> list[Run]:
    rows = session.execute(query).all()
    ids = [run.id for run, _ in rows]
    evaluating = _evaluation_progress(session, ids)
    held_by = _holders(session, ids)
    return [
        _run(run, job, evaluating.get(run.id, job.progress), held_by[run.id]) for run, job in rows
    ]


def _evaluation_progress(session: Session, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {
        run_id: progress
        for part in parts(run_ids)
        for run_id, progress in session.execute(
            select(tables.Job.run_id, tables.Job.progress).where(
                tables.Job.run_id.in_(part),
                tables.Job.kind == JobKind.EVALUATE,
                tables.Job.state == JobState.RUNNING,
            )
        )
        if progress is not None
    }


def _holders(session: Session, run_ids: Iterable[str]) -> dict[str, list[str]]:
    link = tables.ExperimentRun
    held_by: dict[str, list[str]] = defaultdict(list)
    for part in parts(run_ids):
        for run_id, experiment_id in session.execute(
            select(link.run_id, link.experiment_id)
            .where(link.run_id.in_(part))
            .distinct()
            .order_by(link.experiment_id)
        ):
            held_by[run_id].append(experiment_id)
    return held_by


def _run(
    run: tables.Run, job: tables.Job, progress: dict[str, Any] | None, experiments: list[str]
) -> Run:
    return Run(
        id=run.id,
        train_id=run.train_id,
        current=run.current,
        state=run.state,
        spec=run.spec,
        dataset=run.dataset,
        objective=run.objective,
        seed=run.seed,
        steps=run.steps,
        error=run.error,
        record=run.record,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        attempts=job.attempts,
        worker=job.worker,
        progress=progress,
        cancel_requested=job.cancel_requested,
        experiments=experiments,
    )


def _evaluation(row: tables.Evaluation) -> Evaluation:
    return Evaluation(
        id=row.id,
        run_id=row.run_id,
        evaluation_key=row.evaluation_key,
        spec=row.spec,
        state=row.state,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _artifact(row: tables.Artifact) -> Artifact:
    return Artifact(
        run_id=row.run_id,
        evaluation_id=row.evaluation_id,
        name=row.name,
        sha256=row.sha256,
        media_type=row.media_type,
        bytes=row.bytes,
        created_at=row.created_at,
    )
