"""Deleting experiments and evaluations, and pinning what must stay."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.database.tables import (
    Attempt,
    Evaluation,
    Event,
    Experiment,
    ExperimentRun,
    Job,
    LogLine,
    Run,
    Score,
)
from store.errors import NotFound, Pinned, WrongState
from store.jobs.announce import lock_runs
from store.queries.experiments import counts_by_state
from store.retention.holders import forget_unheld
from store.states import EVALUATION_LIVE, EvaluationState, ExperimentState, experiment_state

_DELETABLE = (ExperimentState.SUCCEEDED, ExperimentState.FAILED, ExperimentState.CANCELLED)


def delete_experiment(database: Database, id: str) -> None:
    """Delete an experiment, and the runs that nothing else holds.

    A run stays if another experiment, a pin, or an evaluation asked for by itself holds it.
    `store.retention.collect` removes the files of deleted runs. If a worker has yet to stop a run,
    the run is removed there, too, after that.

    Raises:
        NotFound: if there is no such experiment.
        Pinned: if it is pinned.
        WrongState: if it has not ended.
    """
    with database.write() as session:
        runs = _runs_of(session, id)
        # Runs are locked before the experiment, as everywhere. With that, nobody emits an event to
        # an experiment that is being deleted.
        lock_runs(session, runs)
        pinned = session.scalar(
            select(Experiment.pinned).where(Experiment.id == id).with_for_update()
        )
        if pinned is None:
            raise NotFound("experiment", id)
        if pinned:
            raise Pinned("experiment", id)
        state = experiment_state(counts_by_state(session, [id])[id])
        if state not in _DELETABLE:
            raise WrongState("experiment", id, state, _DELETABLE)
        session.execute(delete(Event).where(Event.experiment_id == id))
        session.execute(delete(ExperimentRun).where(ExperimentRun.experiment_id == id))
        session.execute(delete(Experiment).where(Experiment.id == id))
        forget_unheld(session, runs)


def delete_evaluation(database: Database, id: str) -> None:
    """Withdraw the request for an evaluation by itself.

    The evaluation of a file is deleted. The evaluation of a run no longer holds the run, and its
    scores stay for as long as the run does.

    Raises:
        NotFound: if there is no such evaluation.
        WrongState: if it has not ended.
    """
    with database.write() as session:
        run_id = _of_evaluation(session, id)
        if run_id is not None:
            lock_runs(session, [run_id])
        session.execute(select(Job.id).where(Job.evaluation_id == id).with_for_update())
        state = session.scalar(select(Evaluation.state).where(Evaluation.id == id))
        if state is None:
            raise NotFound("evaluation", id)
        if state in EVALUATION_LIVE:
            ended = [known for known in EvaluationState if known not in EVALUATION_LIVE]
            raise WrongState("evaluation", id, state, ended)
        if run_id is not None:
            session.execute(update(Evaluation).where(Evaluation.id == id).values(wanted=False))
            forget_unheld(session, [run_id])
            return
        for table in (Score, LogLine, Attempt):
            session.execute(delete(table).where(table.evaluation_id == id))
        session.execute(delete(Job).where(Job.evaluation_id == id))
        session.execute(delete(Evaluation).where(Evaluation.id == id))


def pin_experiment(database: Database, id: str, *, pinned: bool) -> None:
    """Pin an experiment, so that nobody can delete it, or unpin it.

    Raises:
        NotFound: if there is no such experiment.
    """
    with database.write() as session:
        found = session.execute(
            update(Experiment)
            .where(Experiment.id == id)
            .values(pinned=pinned)
            .returning(Experiment.id)
        ).one_or_none()
        if found is None:
            raise NotFound("experiment", id)


def pin_run(database: Database, id: str, *, pinned: bool) -> None:
    """Pin a run, so that it stays when the experiments that hold it are deleted, or unpin it.

    A run that nothing holds any more is removed by the next `store.retention.collect`.

    Raises:
        NotFound: if there is no such run.
    """
    with database.write() as session:
        found = session.execute(
            update(Run).where(Run.id == id).values(pinned=pinned).returning(Run.id)
        ).one_or_none()
        if found is None:
            raise NotFound("run", id)


def _runs_of(session: Session, experiment_id: str) -> Iterable[str]:
    return session.scalars(
        select(ExperimentRun.run_id).where(ExperimentRun.experiment_id == experiment_id)
    ).all()


def _of_evaluation(session: Session, id: str) -> str | None:
    found = session.execute(select(Evaluation.run_id).where(Evaluation.id == id)).one_or_none()
    if found is None:
        raise NotFound("evaluation", id)
    run_id: str | None = found.run_id
    return run_id
