"""Reading runs, with the last reports of their workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.database.pages import Page, cut, decode
from store.database.rows import parts
from store.errors import NotFound
from store.queries.filters import condition
from store.queries.json_columns import has_swept, has_tag
from store.states import (
    AttemptEnd,
    JobKind,
    JobState,
    RunState,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a run or at one of its evaluations."""

    kind: JobKind
    #: None for training.
    evaluation_id: str | None
    owner: str | None
    worker: str
    device_model: str | None
    began_at: float
    ended_at: float | None
    #: None while it goes on.
    end: AttemptEnd | None
    cause: dict[str, Any] | None
    #: How many jobs the worker did side by side.
    together: int | None
    #: Of training: from_step, to_step, step_seconds and energy_joules.
    measured: dict[str, Any] | None


# Statements are made once: making one and its key takes longer than sending it.
_IDS: Any = bindparam("ids", expanding=True)
_ATTEMPTS = (
    select(tables.Attempt.run_id, *(getattr(tables.Attempt, name) for name in Attempt.__slots__))
    .where(tables.Attempt.run_id.in_(_IDS))
    .order_by(tables.Attempt.began_at, tables.Attempt.fence)
)
_EVALUATING = select(tables.Job.run_id, tables.Job.progress).where(
    tables.Job.run_id.in_(_IDS),
    tables.Job.kind == JobKind.EVALUATE,
    tables.Job.state == JobState.RUNNING,
)
_HOLDERS = (
    select(tables.ExperimentRun.run_id, tables.ExperimentRun.experiment_id)
    .where(tables.ExperimentRun.run_id.in_(_IDS))
    .distinct()
    .order_by(tables.ExperimentRun.experiment_id)
)


def attempts(database: Database, run_ids: Iterable[str]) -> dict[str, list[Attempt]]:
    """All attempts at these runs and their evaluations, oldest first."""
    found: dict[str, list[Attempt]] = {run_id: [] for run_id in run_ids}
    with database.look() as connection:
        rows = [
            values
            for part in parts(found)
            for values in connection.execute(_ATTEMPTS, {"ids": part})
        ]
    for run_id, *values in rows:
        found[str(run_id)].append(Attempt(*values))
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """A run, with the last reports of its workers."""

    id: str
    train_id: str
    #: Runs of one key can be trained side by side; a run without one goes alone.
    cohort_key: str | None
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
    #: How often workers have begun its training or gone on with it.
    attempts: int
    #: The worker that trains it or trained it last; None while it waits.
    worker: str | None
    #: As of the last beat, of a running evaluation or else of the training.
    progress: dict[str, Any] | None
    #: Whether its training is to stop and has not stopped yet.
    cancel_requested: bool
    #: Experiments that hold it, oldest first.
    experiments: list[str]
    #: Whether it stays when no experiment holds it.
    pinned: bool
    #: `{run, step}` from which it has gone on. That run may have been deleted.
    origin: dict[str, Any] | None
    #: The names that people gave its latents, by number.
    latent_names: dict[str, str]


def run(database: Database, id: str) -> Run:
    """One run.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        rows = _rows(session, _ONE_RUN, {"id": id})
    if not rows:
        raise NotFound("run", id)
    return _run(*rows[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilters:
    """Conditions on the runs of a list, which meet all that are given."""

    #: An unknown experiment holds no runs.
    experiment: str | None = condition("The id of an experiment that holds the run.")
    #: The run's own state, whatever it counts as in an experiment.
    state: RunState | None = None
    dataset: str | None = None
    objective: str | None = None
    tag: str | None = condition("A tag of an experiment that holds the run.")
    name: str | None = condition(
        "Text in the name of an experiment that holds the run, in upper or lower case."
    )
    owner: str | None = condition("The owner of an experiment that holds the run.")
    #: It stands at a place of a sweep with these values: {dotted path: value}.
    swept: Mapping[str, Any] | None = None
    #: It was first asked for at this moment or later, in Unix seconds.
    since: float | None = None
    #: It was first asked for before this moment.
    until: float | None = None


ALL_RUNS = RunFilters()


def runs(
    database: Database, filters: RunFilters = ALL_RUNS, *, limit: int, cursor: str | None = None
) -> Page[Run]:
    """Runs that meet every condition given, newest first, each once.

    Args:
        database: where to look.
        filters: the conditions.
        limit: how many at most.
        cursor: where the previous page ended.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    query = _SELECT_RUNS.order_by(tables.Run.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tables.Run.id < decode(cursor, "run"))
    with database.read() as session:
        rows = _rows(session, query.where(*_conditions(session, filters)))
    return cut([_run(*row) for row in rows], limit)


def _conditions(session: Session, filters: RunFilters) -> Iterator[ColumnElement[bool]]:
    run, link, experiment = tables.Run, tables.ExperimentRun, tables.Experiment
    if filters.experiment is not None:
        held = select(link.run_id).where(link.experiment_id == filters.experiment)
        yield run.id.in_(held)
    if filters.state is not None:
        yield run.state == filters.state
    if filters.dataset is not None:
        yield run.dataset == filters.dataset
    if filters.objective is not None:
        yield run.objective == filters.objective
    if filters.since is not None:
        yield run.created_at >= filters.since
    if filters.until is not None:
        yield run.created_at < filters.until
    if filters.owner is not None:
        yield run.id.in_(_held_by(experiment.owner == filters.owner))
    if filters.name is not None:
        yield run.id.in_(_held_by(experiment.name.icontains(filters.name, autoescape=True)))
    if filters.swept:
        yield run.id.in_(select(link.run_id).where(has_swept(session, filters.swept)))
    if filters.tag is not None:
        yield run.id.in_(_held_by(has_tag(session, filters.tag)))


def _held_by(which: ColumnElement[bool]) -> Select[str]:
    """The ids of the runs that experiments with this condition hold."""
    link = tables.ExperimentRun
    return (
        select(link.run_id)
        .join(tables.Experiment, tables.Experiment.id == link.experiment_id)
        .where(which)
    )


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


_SELECT_RUNS = select(tables.Run, tables.Job).join(
    tables.Job, (tables.Job.run_id == tables.Run.id) & (tables.Job.kind == JobKind.TRAIN)
)


_ONE_RUN = _SELECT_RUNS.where(tables.Run.id == bindparam("id"))


def _rows(
    session: Session, query: Select[tables.Run, tables.Job], values: Mapping[str, Any] | None = None
) -> list[tuple[tables.Run, tables.Job, dict[str, Any] | None, list[str]]]:
    rows = session.execute(query, values).all()
    ids = [run.id for run, _ in rows]
    evaluating = _evaluation_progress(session, ids)
    held_by = _holders(session, ids)
    return [(run, job, evaluating.get(run.id, job.progress), held_by[run.id]) for run, job in rows]


def _evaluation_progress(session: Session, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    connection = session.connection()
    return {
        run_id: progress
        for part in parts(run_ids)
        for run_id, progress in connection.execute(_EVALUATING, {"ids": part})
        if progress is not None
    }


def _holders(session: Session, run_ids: Iterable[str]) -> dict[str, list[str]]:
    connection = session.connection()
    held_by: dict[str, list[str]] = defaultdict(list)
    for part in parts(run_ids):
        for run_id, experiment_id in connection.execute(_HOLDERS, {"ids": part}):
            held_by[run_id].append(experiment_id)
    return held_by


def _run(
    run: tables.Run, job: tables.Job, progress: dict[str, Any] | None, experiments: list[str]
) -> Run:
    return Run(
        id=run.id,
        train_id=run.train_id,
        cohort_key=job.cohort_key,
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
        pinned=run.pinned,
        origin=run.origin,
        latent_names=run.latent_names or {},
    )
