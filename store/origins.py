"""The states that trained runs have left, and which of them new runs can go on from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from store.curves import CURVES
from store.database import Database
from store.errors import NotFound, OriginNotKept, StateNotKept, WrongState
from store.new_run import NewRun
from store.parts import parts
from store.states import JobKind, JobState, RunState
from store.tables import Artifact, Checkpoint, Job, Run

TRAINED = (RunState.EVALUATING, RunState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class KeptState:
    """A checkpoint that a trained run has kept."""

    run_id: str
    train_id: str
    course_id: str | None
    #: How far it is trained: the run's own number of steps.
    step: int
    #: Relative to the checkpoint folder.
    path: str
    sha256: str
    bytes: int


def starting_states(session: Session, runs: Iterable[NewRun]) -> dict[str, KeptState]:
    """Where these runs can begin, by their `train_id`; those that begin anew are left out.

    A run begins at the end of the longest shorter one on its course, else at that of its origin.

    Raises:
        OriginNotKept: if the origin of one is not there.
    """
    wanting = list(runs)
    on_course = _longest_first(session, Run.course_id, (run.course_id for run in wanting))
    origins = _longest_first(session, Run.train_id, (run.origin_id for run in wanting))
    found: dict[str, KeptState] = {}
    missing: list[str] = []
    for run in wanting:
        shorter = [one for one in on_course.get(run.course_id, ()) if one.step < run.steps]
        if shorter or run.origin_id in origins:
            found[run.train_id] = (shorter or origins[run.origin_id])[0]
        elif run.origin_id is not None:
            missing.append(run.origin_id)
    if missing:
        raise OriginNotKept(missing)
    return found


def kept_states(database: Database, run_ids: Sequence[str]) -> dict[str, KeptState]:
    """The states of runs that are to be gone on from.

    Raises:
        NotFound: if there is no such run.
        WrongState: if one is not trained.
        StateNotKept: if one has none.
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
        for one in _longest_first(session, Run.id, run_ids).values():
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
    """Let new runs, by their ids, begin with these states.

    They share the file, which stays for as long as a row names it, and the curves up to there.
    """
    if not states:
        return
    session.execute(
        insert(Checkpoint),
        [
            {
                "run_id": run_id,
                # Before that of every claim.
                "fence": 0,
                "step": state.step,
                "path": state.path,
                "sha256": state.sha256,
                "bytes": state.bytes,
                "created_at": now,
            }
            for run_id, state in states.items()
        ],
    )
    curves = _curves(session, {state.run_id for state in states.values()})
    rows = [
        {**curves[state.run_id], "run_id": run_id, "created_at": now}
        for run_id, state in states.items()
        if state.run_id in curves
    ]
    if rows:
        session.execute(insert(Artifact), rows)


def _longest_first(
    session: Session, column: Any, keys: Iterable[str | None]
) -> dict[str | None, list[KeptState]]:
    """The states of trained runs by this column, the longest first, of equals the newest."""
    found: dict[str | None, list[KeptState]] = {}
    for part in parts(key for key in keys if key is not None):
        for key, *state in session.execute(
            select(
                column,
                Run.id,
                Run.train_id,
                Run.course_id,
                Checkpoint.step,
                Checkpoint.path,
                Checkpoint.sha256,
                Checkpoint.bytes,
            )
            .join(Checkpoint, (Checkpoint.run_id == Run.id) & (Checkpoint.step == Run.steps))
            .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
            .where(column.in_(part), Job.state == JobState.DONE)
            .order_by(Checkpoint.step.desc(), Run.id.desc(), Checkpoint.fence.desc())
        ):
            found.setdefault(key, []).append(KeptState(*state))
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
