"""What a submission would do, without doing it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.database import Database
from store.parts import parts
from store.states import JOB_RESUMABLE, JobKind, JobState
from store.submit import NewRun, current_runs
from store.tables import Checkpoint, Job, Run

MEASURED_BY = 10
"""Of so many runs, the newest, the median tells how long a step takes."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The work that a submission would cause as things are now."""

    #: Places of the sweep whose run exists, whatever became of it, or is another place's.
    reused: int
    #: Those of them that failed or were cancelled, and would be taken up again.
    again: int
    #: Steps to train, without those that checkpoints hold already.
    steps: int
    #: On one worker, by what runs of the kind took; None if one kind has not been measured.
    seconds: float | None
    #: The place in the queue of the training that comes first among the new, or, where none is new,
    #: among those that are taken up again; None if there is nothing to train.
    position: int | None


def foresee(
    database: Database, runs: Sequence[NewRun], *, priority: int = 0, force: bool = False
) -> Foreseen:
    """What `store.submit.submit` would do with these runs."""
    new: dict[str, NewRun] = {run.train_id: run for run in runs}
    with database.read() as session:
        current = {} if force else current_runs(session, new)
        again = _steps_left(session, current.values())
        left = {
            train_id: run.steps if train_id not in current else again.get(current[train_id], 0)
            for train_id, run in new.items()
        }
        ahead = session.scalar(
            select(func.count()).where(
                Job.kind == JobKind.TRAIN, Job.state == JobState.QUEUED, Job.priority >= priority
            )
        )
        added = new.keys() - current.keys()
        # What is taken up again is older than what is added.
        before = (ahead or 0) + (len(again) if added else 0)
        return Foreseen(
            reused=len(runs) - len(added),
            again=len(again),
            steps=sum(left.values()),
            seconds=_seconds(session, [(new[id].cohort_key, steps) for id, steps in left.items()]),
            position=1 + before if added or again else None,
        )


def _steps_left(session: Session, run_ids: Iterable[str]) -> dict[str, int]:
    """The steps that are left of those of these runs that failed or were cancelled in training."""
    newest = select(func.max(Checkpoint.step)).where(Checkpoint.run_id == Run.id).scalar_subquery()
    left: dict[str, int] = {}
    for part in parts(run_ids):
        rows = session.execute(
            select(Run.id, Run.steps - func.coalesce(newest, 0))
            .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
            .where(Run.id.in_(part), Job.state.in_(JOB_RESUMABLE))
        )
        left.update((run_id, steps) for run_id, steps in rows)
    return left


def _seconds(session: Session, work: Iterable[tuple[str, int]]) -> float | None:
    """How long steps of these kinds take together, by what others took."""
    steps: dict[str, int] = {}
    for cohort_key, number in work:
        steps[cohort_key] = steps.get(cohort_key, 0) + number
    seconds = 0.0
    for cohort_key, number in steps.items():
        if not number:
            continue
        of_one = _seconds_of_a_step(session, cohort_key)
        if of_one is None:
            return None
        seconds += of_one * number
    return seconds


def _seconds_of_a_step(session: Session, cohort_key: str) -> float | None:
    """A run's share of what its cohort took, for a step; from runs that nothing interrupted.

    So it holds for as many runs as were trained side by side then.
    """
    records = session.execute(
        select(Run.record, Run.steps)
        .join(Job, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
        .where(
            Job.cohort_key == cohort_key,
            Job.state == JobState.DONE,
            Job.attempts == 1,
            Run.record.is_not(None),
        )
        .order_by(Run.started_at.desc())
        .limit(MEASURED_BY)
    )
    measured = [
        record["last_attempt_seconds"] / record.get("width", 1) / steps
        for record, steps in records
        if record and record.get("last_attempt_seconds")
    ]
    return statistics.median(measured) if measured else None
