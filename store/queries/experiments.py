"""Reading experiments, and how their runs count in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    func,
    not_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.database.pages import Page, cut, decode
from store.errors import NotFound
from store.queries.filters import condition
from store.queries.json_columns import has_swept, has_tag
from store.states import (
    EVALUATION_LIVE,
    RUN_LIVE,
    ExperimentState,
    RunState,
    experiment_state,
    linked_state,
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment, with the number of its runs in each state."""

    id: str
    name: str | None
    tags: list[str]
    notes: str | None
    spec: dict[str, Any]
    owner: str | None
    priority: int
    created_at: float
    #: Whether nobody may delete it.
    pinned: bool
    #: Number of the newest event; 0 if there is none.
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


def experiment(database: Database, id: str) -> Experiment:
    """One experiment.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        row = session.get(tables.Experiment, id)
        if row is None:
            raise NotFound("experiment", id)
        counts = counts_by_state(session, [id])
    return _experiment(row, counts[id])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentFilters:
    """Conditions on the experiments of a list, which meet all that are given."""

    name: str | None = condition("Text in the experiment's name, in upper or lower case.")
    notes: str | None = condition("Text in the experiment's notes, in upper or lower case.")
    tag: str | None = None
    state: ExperimentState | None = None
    dataset: str | None = condition("The data set of one of the experiment's runs.")
    objective: str | None = condition("The objective of one of the experiment's runs.")
    owner: str | None = None
    #: One place of its sweep has these values: {dotted path: value}.
    swept: Mapping[str, Any] | None = None
    #: It was posted at this moment or later, in Unix seconds.
    since: float | None = None
    #: It was posted before this moment.
    until: float | None = None


ALL_EXPERIMENTS = ExperimentFilters()


def experiments(
    database: Database,
    filters: ExperimentFilters = ALL_EXPERIMENTS,
    *,
    limit: int,
    cursor: str | None = None,
) -> Page[Experiment]:
    """Experiments that meet every condition given, newest first.

    Args:
        database: where to look.
        filters: the conditions.
        limit: how many at most.
        cursor: where the previous page ended.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    experiment = tables.Experiment
    query = select(experiment).order_by(experiment.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(experiment.id < decode(cursor, "exp"))
    with database.read() as session:
        rows = session.scalars(query.where(*_conditions(session, filters))).all()
        counts = counts_by_state(session, [row.id for row in rows])
    return cut([_experiment(row, counts[row.id]) for row in rows], limit)


def _conditions(session: Session, filters: ExperimentFilters) -> Iterator[ColumnElement[bool]]:
    experiment, link = tables.Experiment, tables.ExperimentRun
    if filters.name is not None:
        yield experiment.name.icontains(filters.name, autoescape=True)
    if filters.notes is not None:
        yield experiment.notes.icontains(filters.notes, autoescape=True)
    if filters.dataset is not None:
        yield experiment.id.in_(_holding(tables.Run.dataset == filters.dataset))
    if filters.objective is not None:
        yield experiment.id.in_(_holding(tables.Run.objective == filters.objective))
    if filters.owner is not None:
        yield experiment.owner == filters.owner
    if filters.since is not None:
        yield experiment.created_at >= filters.since
    if filters.until is not None:
        yield experiment.created_at < filters.until
    if filters.state is not None:
        yield _in_state(filters.state)
    if filters.swept:
        at = select(link.experiment_id).where(has_swept(session, filters.swept))
        yield experiment.id.in_(at)
    if filters.tag is not None:
        yield has_tag(session, filters.tag)


def _in_state(state: ExperimentState) -> ColumnElement[bool]:
    """The condition on an experiment that it is in a state: `experiment_state` as SQL."""
    queued, started = _has_place(RunState.QUEUED), _has_place(*set(RunState) - {RunState.QUEUED})
    ended = not_(_has_place(*RUN_LIVE))
    failed, cancelled = _has_place(RunState.FAILED), _has_place(RunState.CANCELLED)
    if state is ExperimentState.QUEUED:
        return and_(queued, not_(started))
    if state is ExperimentState.RUNNING:
        return and_(not_(ended), started)
    if state is ExperimentState.FAILED:
        return and_(failed, ended)
    if state is ExperimentState.CANCELLED:
        return and_(cancelled, ended, not_(failed))
    return and_(ended, not_(failed), not_(cancelled))


def _has_place(*states: RunState) -> ColumnElement[bool]:
    """The condition on an experiment that one of its places counts with one of these states.

    This is `linked_state` as SQL.
    """
    link, run, evaluation = tables.ExperimentRun, tables.Run, tables.Evaluation
    counted = case(
        (not_(link.wanted), RunState.CANCELLED.value),
        (evaluation.state.in_(EVALUATION_LIVE), type_coerce(run.state, Text)),
        else_=type_coerce(evaluation.state, Text),
    )
    return (
        select(true())
        .select_from(link)
        .join(run, run.id == link.run_id)
        .join(evaluation, evaluation.id == link.evaluation_id)
        .where(
            link.experiment_id == tables.Experiment.id,
            counted.in_(sorted(state.value for state in states)),
        )
        .correlate(tables.Experiment)
        .exists()
    )


def _holding(which: ColumnElement[bool]) -> Select[str]:
    """The ids of the experiments that hold runs with this condition."""
    link = tables.ExperimentRun
    return select(link.experiment_id).join(tables.Run, tables.Run.id == link.run_id).where(which)


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
        ).all()
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


def _experiment(row: tables.Experiment, counts: dict[RunState, int]) -> Experiment:
    return Experiment(
        id=row.id,
        name=row.name,
        tags=row.tags,
        notes=row.notes,
        spec=row.spec,
        owner=row.owner,
        priority=row.priority,
        created_at=row.created_at,
        pinned=row.pinned,
        events=row.events,
        state=experiment_state(counts),
        counts=counts,
    )


def counts_by_state(session: Session, experiment_ids: list[str]) -> dict[str, dict[RunState, int]]:
    """How many places of each experiment are in each state, as they count there."""
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
