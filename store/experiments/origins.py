"""The states that trained runs have kept, and which of them other runs can go on from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.database.rows import insert_rows, parts, update_rows
from store.database.tables import Artifact, Checkpoint, Job, Run
from store.errors import NotFound, OriginNotKept, StateNotKept, WrongState
from store.experiments.new_run import NewRun
from store.files.artifact_names import CURVES
from store.states import JOB_RESUMABLE, JobKind, JobState, RunState

#: The error of a run that failed because its origin had no state to go on from.
NO_ORIGIN = "OriginNotKept"
TRAINED = (RunState.EVALUATING, RunState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class KeptState:
    """A checkpoint that a trained run has kept."""

    run_id: str
    train_id: str
    course_id: str | None
    #: The run's own number of steps.
    step: int
    #: Relative to the checkpoint folder.
    path: str
    sha256: str
    bytes: int
    #: The width at which a run goes on from here with the same bits, on this model of device.
    width: int | None
    device_model: str | None


def starting_states(
    session: Session, runs: Iterable[NewRun], prefer: Collection[str] = ()
) -> dict[str, KeptState]:
    """The states that new runs can begin at, by `train_id`. Runs that begin anew are left out.

    A run begins at the end of the longest shorter run on its course. If there is none, it begins
    at the end of its origin.

    Args:
        session: where to look.
        runs: the new runs.
        prefer: the ids of runs to go on from, if others have come as far. If any are given, every
            new run must go on from some state.

    Raises:
        OriginNotKept: if a run's origin has no kept state.
        StateNotKept: if runs are to `prefer` and one of the new runs goes on from none.
    """
    wanting = list(runs)
    found = _starts(session, wanting, prefer)
    missing = [run for run in wanting if run.train_id not in found]
    if of_others := [run.origin_id for run in missing if run.origin_id is not None]:
        raise OriginNotKept(of_others)
    if missing and prefer:
        raise StateNotKept(min(prefer))
    return found


def _ended() -> Select[Any]:
    newest = select(func.max(Checkpoint.step)).where(Checkpoint.run_id == Run.id).scalar_subquery()
    return (
        select(Run.train_id, newest, Run.error)
        .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
        .where(Run.id.in_(bindparam("ids", expanding=True)), Job.state.in_(JOB_RESUMABLE))
    )


# Made once: making a statement takes longer than sending it, and each submission sends these.
_ENDED = _ended()


def states_ahead(
    session: Session, runs: Iterable[NewRun], current: Mapping[str, str]
) -> dict[str, KeptState]:
    """The states that failed or cancelled runs can go on from, by `train_id`.

    A state is given only if it lies further on than the run's own checkpoints, or if the run had
    failed for want of its origin's state.

    Args:
        session: where to look.
        runs: the runs that are asked for again.
        current: their ids, by `train_id`.
    """
    ended: dict[str, int | None] = {}
    connection = session.connection()
    for part in parts(current.values()):
        for train_id, step, error in connection.execute(_ENDED, {"ids": part}):
            useless = error is not None and error["type"] == NO_ORIGIN
            ended[train_id] = None if useless else step
    found = _starts(session, [run for run in runs if run.train_id in ended])
    return {
        train_id: state
        for train_id, state in found.items()
        for own in [ended[train_id]]
        if own is None or own < state.step
    }


def kept_states(database: Database, run_ids: Sequence[str]) -> dict[str, KeptState]:
    """The kept states of these runs, by run.

    Raises:
        NotFound: if there is no such run.
        WrongState: if a run is not trained.
        StateNotKept: if a run has kept no state.
    """
    states: dict[str, RunState] = {}
    trained: set[str] = set()
    found: dict[str, KeptState] = {}
    with database.read() as session:
        for part in parts(run_ids):
            for run_id, state, job in session.execute(
                select(Run.id, Run.state, Job.state)
                .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
                .where(Run.id.in_(part))
            ):
                states[run_id] = state
                if job is JobState.DONE:
                    trained.add(run_id)
        for one in _longest_first(session, _OF_RUNS, run_ids).values():
            found[one[0].run_id] = one[0]
    for run_id in run_ids:
        if run_id not in states:
            raise NotFound("run", run_id)
        if run_id not in trained:
            raise WrongState("run", run_id, states[run_id], TRAINED)
        if run_id not in found:
            raise StateNotKept(run_id)
    return found


def add_states(session: Session, states: Mapping[str, KeptState], now: float | None) -> None:
    """Have waiting runs begin at these states, given by run id, instead of their own checkpoints.

    A run shares the state's file and its curves up to there. The file stays for as long as a row
    names it.
    """
    if not states:
        return
    jobs = {
        job.run_id: job
        for part in parts(states)
        for job in session.execute(
            select(Job.id, Job.run_id, Job.fence).where(
                Job.run_id.in_(part), Job.kind == JobKind.TRAIN
            )
        )
    }
    for part in parts(states):
        session.execute(delete(Checkpoint).where(Checkpoint.run_id.in_(part)))
    insert_rows(
        session,
        Checkpoint,
        (
            {
                "run_id": run_id,
                # This is a lower fence than that of any later claim.
                "fence": jobs[run_id].fence,
                "step": state.step,
                "path": state.path,
                "sha256": state.sha256,
                "bytes": state.bytes,
                "created_at": now,
            }
            for run_id, state in states.items()
        ),
    )
    update_rows(
        session,
        Run,
        (
            {"id": run_id, "origin": {"run": state.run_id, "step": state.step}}
            for run_id, state in states.items()
        ),
    )
    update_rows(
        session,
        Job,
        (
            {
                "id": jobs[run_id].id,
                "cohort_width": state.width,
                "cohort_device": state.device_model,
            }
            for run_id, state in states.items()
        ),
    )
    curves = _curves(session, {state.run_id for state in states.values()})
    rows = (
        {**curves[state.run_id], "run_id": run_id, "created_at": now}
        for run_id, state in states.items()
        if state.run_id in curves
    )
    insert_rows(session, Artifact, rows)


def _starts(
    session: Session, runs: Sequence[NewRun], prefer: Collection[str] = ()
) -> dict[str, KeptState]:
    on_course = _longest_first(session, _OF_COURSES, (run.course_id for run in runs), prefer)
    origins = _longest_first(session, _OF_TRAIN_IDS, (run.origin_id for run in runs), prefer)
    found: dict[str, KeptState] = {}
    for run in runs:
        shorter = [one for one in on_course.get(run.course_id, ()) if one.step < run.steps]
        if shorter:
            found[run.train_id] = shorter[0]
        elif run.origin_id in origins:
            # No other run has the bits of a fork, so its width is free.
            found[run.train_id] = replace(origins[run.origin_id][0], width=None, device_model=None)
    return found


def _kept_by(column: Any) -> Select[Any]:
    """The kept states of trained runs, by this column of the runs, the newest first."""
    return (
        select(
            column,
            Run.id,
            Run.train_id,
            Run.course_id,
            Checkpoint.step,
            Checkpoint.path,
            Checkpoint.sha256,
            Checkpoint.bytes,
            Job.cohort_width,
            Job.cohort_device,
        )
        .join(Checkpoint, (Checkpoint.run_id == Run.id) & (Checkpoint.step == Run.steps))
        .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
        .where(column.in_(bindparam("keys", expanding=True)), Job.state == JobState.DONE)
        .order_by(Run.id.desc(), Checkpoint.fence.desc())
    )


_OF_COURSES, _OF_TRAIN_IDS, _OF_RUNS = map(_kept_by, (Run.course_id, Run.train_id, Run.id))


def _longest_first(
    session: Session,
    kept: Select[Any],
    keys: Iterable[str | None],
    prefer: Collection[str] = (),
) -> dict[str | None, list[KeptState]]:
    """The kept states that a statement of `_kept_by` finds for these keys.

    The longest comes first. Among equally long ones, those to `prefer` come first, then the newest.
    """
    found: dict[str | None, list[KeptState]] = {}
    connection = session.connection()
    for part in parts({key for key in keys if key is not None}):
        for key, *state in connection.execute(kept, {"keys": part}):
            found.setdefault(key, []).append(KeptState(*state))
    for states in found.values():
        states.sort(key=lambda state: (-state.step, state.run_id not in prefer))
    return found


def _curves(session: Session, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    columns = ("name", "sha256", "media_type", "bytes")
    return {
        row.run_id: {name: getattr(row, name) for name in columns}
        for part in parts(run_ids)
        for row in session.scalars(
            select(Artifact)
            .where(Artifact.run_id.in_(part), Artifact.name == CURVES)
            .order_by(Artifact.id)
        )
    }
