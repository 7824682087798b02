"""Evaluations without an experiment: of a file, or one more of a trained run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.ids import new_id
from store.database.tables import Evaluation, Job, Run
from store.database.tries import Outrun, until_written
from store.errors import NotFound, NotTrained, WrongState
from store.jobs.announce import announcing
from store.jobs.demand import demand, demand_of_file, new_job, stop_evaluations
from store.jobs.transitions import settle, trained
from store.states import (
    EVALUATION_LIVE,
    EVALUATION_RESUMABLE,
    EvaluationState,
    JobKind,
)

_FAILED = frozenset({EvaluationState.FAILED})


@dataclass(frozen=True, slots=True)
class NewFile:
    """An uploaded file of codes in the object folder."""

    sha256: str
    #: In bytes.
    size: int
    #: The name that its sender gave it.
    name: str
    #: The rows, codes and factors that were found in it, and what was assumed of them.
    understood: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The evaluation that answers a request."""

    id: str
    #: Whether it existed before the request.
    reused: bool


def evaluate_file(
    database: Database,
    file: NewFile,
    *,
    spec: dict[str, Any],
    evaluation_key: str,
    owner: str | None,
    priority: int = 0,
) -> Asked:
    """Ask for the evaluation of a file.

    The same evaluation of the same content exists once. If it has failed or was cancelled, it is
    queued again.

    Args:
        database: where to write.
        file: what to evaluate.
        spec: how, resolved.
        evaluation_key: hash of what decides the scores of a given file.
        owner: who asks.
        priority: higher goes first.

    Raises:
        Contended: if others keep asking for it or deleting it at the same moment.
    """
    same = (Evaluation.file_sha256 == file.sha256, Evaluation.evaluation_key == evaluation_key)

    def write(session: Session) -> Asked:
        found = session.scalar(select(Evaluation.id).where(*same))
        if found is not None:
            _lock_job(session, found)
            if session.scalar(select(Evaluation.id).where(*same)) is None:
                raise Outrun  # It was deleted just now.
            _mark(session, found, wanted=True)
            demand_of_file(session, found)
            return Asked(found, reused=True)
        of_file = {
            "run_id": None,
            "file_sha256": file.sha256,
            "file_bytes": file.size,
            "file_name": file.name,
            "understood": file.understood,
        }
        id = _add(session, of_file, spec, evaluation_key, owner, priority)
        return Asked(id, reused=False)

    # Somebody else may ask for the same evaluation at this moment.
    return until_written(database, f"the evaluation of {file.name!r}", write)


def evaluate_run(
    database: Database,
    run_id: str,
    *,
    spec: dict[str, Any],
    evaluation_key: str,
    owner: str | None,
    priority: int = 0,
) -> Asked:
    """Ask for one more evaluation of a trained run; its other scores stay.

    The parameters are those of `evaluate_file`. Experiments that have their scores of the run get
    no event.

    Raises:
        NotFound: if there is no such run.
        NotTrained: if it has no trained model yet.
    """
    with database.write() as session, announcing(session, [run_id]):
        _check_trained(session, run_id)
        found = session.scalar(
            select(Evaluation.id).where(
                Evaluation.run_id == run_id, Evaluation.evaluation_key == evaluation_key
            )
        )
        if found is not None:
            _mark(session, found, wanted=True)
            demand(session, [run_id], [found])
            return Asked(found, reused=True)
        id = _add(session, {"run_id": run_id}, spec, evaluation_key, owner, priority)
        settle(session, [run_id])
        return Asked(id, reused=False)


def cancel_evaluation(database: Database, id: str) -> None:
    """Stop an evaluation for everybody. A running one ends after its worker's next heartbeat.

    Raises:
        NotFound: if there is no such evaluation.
        WrongState: if it has ended.
        NotTrained: if it waits for its run's training; cancel the run instead.
    """
    with database.write() as session:
        run_id = _run_of(session, id)
        with announcing(session, [run_id]):
            _check(session, id, run_id, EVALUATION_LIVE)
            _mark(session, id, wanted=False)
            stop_evaluations(session, [] if run_id is None else [run_id], [id])


def resume_evaluation(database: Database, id: str, *, failed_only: bool = False) -> None:
    """Queue a failed or cancelled evaluation again.

    Raises:
        NotFound: if there is no such evaluation.
        WrongState: if it has neither failed nor been cancelled. With `failed_only` a cancelled
            evaluation raises this, too.
        NotTrained: if its run has no trained model; resume the run instead.
    """
    with database.write() as session:
        run_id = _run_of(session, id)
        with announcing(session, [run_id]):
            _check(session, id, run_id, _FAILED if failed_only else EVALUATION_RESUMABLE)
            _mark(session, id, wanted=True)
            if run_id is None:
                demand_of_file(session, id)
            else:
                demand(session, [run_id], [id])


def _add(
    session: Session,
    subject: dict[str, Any],
    spec: dict[str, Any],
    evaluation_key: str,
    owner: str | None,
    priority: int,
) -> str:
    """Write an evaluation and its job. The file or the run must be ready to be evaluated."""
    id = new_id("eval")
    now = session.scalar(select(db_now()))
    session.execute(
        insert(Evaluation).values(
            id=id,
            evaluation_key=evaluation_key,
            spec=spec,
            state=EvaluationState.QUEUED,
            wanted=True,
            created_at=now,
            **subject,
        )
    )
    job = new_job(
        JobKind.EVALUATE,
        run_id=subject["run_id"],
        evaluation_id=id,
        priority=priority,
        owner=owner,
        now=now,
        pace_key=evaluation_key,
    )
    session.execute(insert(Job).values(job))
    return id


def _run_of(session: Session, id: str) -> str | None:
    found = session.execute(select(Evaluation.run_id).where(Evaluation.id == id)).one_or_none()
    if found is None:
        raise NotFound("evaluation", id)
    run_id: str | None = found.run_id
    return run_id


def _check(
    session: Session, id: str, run_id: str | None, allowed: frozenset[EvaluationState]
) -> None:
    """Make sure that the evaluation is in one of these states, and stays in it."""
    if run_id is None:
        _lock_job(session, id)
    state = session.scalar(select(Evaluation.state).where(Evaluation.id == id))
    if state is None:
        # It was deleted while this waited for its lock.
        raise NotFound("evaluation", id)
    if state not in allowed:
        known = [known for known in EvaluationState if known in allowed]
        raise WrongState("evaluation", id, state, known)
    if run_id is not None:
        _check_trained(session, run_id)


def _check_trained(session: Session, run_id: str) -> None:
    state = session.scalar(select(Run.state).where(Run.id == run_id))
    if state is None:
        raise NotFound("run", run_id)
    if not trained(session, [run_id]):
        raise NotTrained(run_id, state)


def _lock_job(session: Session, evaluation_id: str) -> None:
    """Lock the job of a file's evaluation, which has no run whose lock would do."""
    session.execute(
        select(Job.id).where(Job.evaluation_id == evaluation_id).with_for_update(key_share=True)
    )


def _mark(session: Session, id: str, *, wanted: bool) -> None:
    session.execute(update(Evaluation).where(Evaluation.id == id).values(wanted=wanted))
