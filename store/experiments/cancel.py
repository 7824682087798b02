"""Cancelling work that nobody wants any more, and resuming it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.database.connection import Database
from store.database.rows import parts
from store.database.tables import Evaluation, Experiment, ExperimentRun, Run
from store.errors import NotFound, WrongState
from store.jobs.announce import announcing
from store.jobs.demand import demand, stop_evaluations, stop_training
from store.jobs.transitions import trained
from store.states import (
    EVALUATION_LIVE,
    RUN_LIVE,
    RUN_RESUMABLE,
    ExperimentState,
    RunState,
    experiment_state,
    linked_state,
)


def cancel_run(database: Database, run_id: str) -> None:
    """Stop a run for every experiment that holds it.

    A waiting job ends at once. A running job ends after its worker's next heartbeat; the run's
    state shows when it has. Evaluations that have scores keep them.

    Raises:
        NotFound: if there is no such run.
        WrongState: if the run has ended.
    """
    with database.write() as session, announcing(session, [run_id]):
        _check_run(session, run_id, RUN_LIVE)
        if trained(session, [run_id]):
            live = session.scalars(
                select(Evaluation.id).where(
                    Evaluation.run_id == run_id, Evaluation.state.in_(EVALUATION_LIVE)
                )
            )
            stop_evaluations(session, [run_id], live.all())
        else:
            stop_training(session, [run_id])


def resume_run(database: Database, run_id: str, *, failed_only: bool = False) -> None:
    """Queue a failed or cancelled run again, for every experiment that holds it.

    Its training goes on from the newest checkpoint. If it was trained, only the evaluation is
    queued.

    Raises:
        NotFound: if there is no such run.
        WrongState: if it has neither failed nor been cancelled. With `failed_only` a cancelled run
            raises this, too.
    """
    with database.write() as session, announcing(session, [run_id]):
        _check_run(session, run_id, _FAILED if failed_only else RUN_RESUMABLE)
        evaluations = session.scalars(
            update(ExperimentRun)
            .where(ExperimentRun.run_id == run_id)
            .values(wanted=True)
            .returning(ExperimentRun.evaluation_id)
        )
        by_themselves = session.scalars(
            select(Evaluation.id).where(Evaluation.run_id == run_id, Evaluation.wanted)
        )
        demand(session, [run_id], [*evaluations, *by_themselves])


def cancel_experiment(database: Database, experiment_id: str) -> None:
    """Stop the work that an experiment still waits for, unless another experiment wants it.

    Runs that have ended stay as they are. All others count as cancelled in this experiment, even
    if they go on for another one.

    Raises:
        NotFound: if there is no such experiment.
        WrongState: if all of its runs have ended.
    """
    with database.write() as session:
        runs = _runs_of(session, experiment_id)
        with announcing(session, runs):
            live = _choose(session, experiment_id, RUN_LIVE, _EXPERIMENT_LIVE)
            _set_wanted(session, experiment_id, live, wanted=False)
            run_ids = {link.run_id for link in live}
            unwanted = run_ids - _held(session, ExperimentRun.run_id, run_ids)
            stop_training(session, unwanted - trained(session, unwanted))
            # These include evaluations of runs that are about to be stopped. Somebody may ask for
            # another evaluation of such a run before its worker has stopped.
            evaluation_ids = {link.evaluation_id for link in live}
            stop_evaluations(session, run_ids, evaluation_ids - _wanted(session, evaluation_ids))


def resume_experiment(database: Database, experiment_id: str, *, failed_only: bool = False) -> None:
    """Queue an experiment's failed and cancelled runs again, as `resume_run` does.

    With `failed_only`, cancelled runs stay as they are.

    Raises:
        NotFound: if there is no such experiment.
        WrongState: if it has no run to queue.
    """
    states, allowed = RUN_RESUMABLE, _EXPERIMENT_RESUMABLE
    if failed_only:
        states, allowed = _FAILED, (ExperimentState.FAILED,)
    with database.write() as session:
        runs = _runs_of(session, experiment_id)
        with announcing(session, runs):
            ended = _choose(session, experiment_id, states, allowed)
            _set_wanted(session, experiment_id, ended, wanted=True)
            demand(
                session,
                (link.run_id for link in ended),
                (link.evaluation_id for link in ended),
            )


_EXPERIMENT_LIVE = (ExperimentState.QUEUED, ExperimentState.RUNNING)
_EXPERIMENT_RESUMABLE: tuple[ExperimentState, ...] = (
    ExperimentState.FAILED,
    ExperimentState.CANCELLED,
)
_FAILED = frozenset({RunState.FAILED})


class _Link(NamedTuple):
    run_id: str
    evaluation_id: str
    state: RunState


def _check_run(session: Session, run_id: str, allowed: Iterable[RunState]) -> None:
    state = session.scalar(select(Run.state).where(Run.id == run_id))
    if state is None:
        raise NotFound("run", run_id)
    if state not in allowed:
        raise WrongState("run", run_id, state, [known for known in RunState if known in allowed])


def _runs_of(session: Session, experiment_id: str) -> list[str]:
    if session.get(Experiment, experiment_id) is None:
        raise NotFound("experiment", experiment_id)
    return list(
        session.scalars(
            select(ExperimentRun.run_id).where(ExperimentRun.experiment_id == experiment_id)
        )
    )


def _choose(
    session: Session,
    experiment_id: str,
    states: Iterable[RunState],
    allowed: Iterable[ExperimentState],
) -> list[_Link]:
    """The places of an experiment whose runs count with one of these states, at least one.

    Raises `WrongState` if there is none.
    """
    rows = session.execute(
        select(
            ExperimentRun.run_id,
            ExperimentRun.evaluation_id,
            Run.state,
            Evaluation.state,
            ExperimentRun.wanted,
        )
        .join(Run, Run.id == ExperimentRun.run_id)
        .join(Evaluation, Evaluation.id == ExperimentRun.evaluation_id)
        .where(ExperimentRun.experiment_id == experiment_id)
    )
    links = [
        _Link(run_id, evaluation_id, linked_state(run, evaluation, wanted=wanted))
        for run_id, evaluation_id, run, evaluation, wanted in rows
    ]
    chosen = [link for link in links if link.state in states]
    if not chosen:
        counts = dict.fromkeys((link.state for link in links), 1)
        raise WrongState("experiment", experiment_id, experiment_state(counts), allowed)
    return chosen


def _set_wanted(
    session: Session, experiment_id: str, links: Iterable[_Link], *, wanted: bool
) -> None:
    # Places with the same evaluation count with the same state, so all of them are changed.
    for part in parts(link.evaluation_id for link in links):
        session.execute(
            update(ExperimentRun)
            .where(
                ExperimentRun.experiment_id == experiment_id,
                ExperimentRun.evaluation_id.in_(part),
            )
            .values(wanted=wanted)
        )


def _wanted(session: Session, evaluation_ids: Iterable[str]) -> set[str]:
    """Which of these evaluations an experiment wants, or somebody asked for by themselves."""
    ids = set(evaluation_ids)
    return _held(session, ExperimentRun.evaluation_id, ids) | {
        id
        for part in parts(ids)
        for id in session.scalars(
            select(Evaluation.id).where(Evaluation.id.in_(part), Evaluation.wanted)
        )
    }


def _held(session: Session, column: InstrumentedAttribute[str], ids: Iterable[str]) -> set[str]:
    """Which of these runs or evaluations an experiment wants."""
    return {
        id
        for part in parts(ids)
        for id in session.scalars(select(column).where(column.in_(part), ExperimentRun.wanted))
    }
