"""The dry run of a submission: what it would do, without doing it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.rows import parts
from store.database.tables import Checkpoint, Job, Run
from store.database.uncollected import uncollected
from store.experiments.new_run import NewRun
from store.experiments.origins import starting_states, states_ahead
from store.experiments.submit import NO_LIMITS, Limits, check_queued, current_runs, steps_left
from store.jobs.claim import DEFAULT_RULES
from store.jobs.demand import LOCAL
from store.scheduling.fair_share import Rules
from store.scheduling.forecast import Ahead
from store.scheduling.pace import paces
from store.scheduling.queue import as_ahead, scene
from store.states import JOB_RESUMABLE, JobKind


@dataclass(frozen=True, slots=True)
class DryRun:
    """The work that a submission would cause now."""

    #: Places of the sweep whose run exists already, in whatever state, or is shared with another
    #: place.
    reused: int
    #: Existing runs whose training failed or was cancelled, and that would be resumed.
    again: int
    #: Steps to train. Steps that checkpoints and kept states already hold do not count.
    steps: int
    #: The time on one worker, estimated from runs of the same kind; None if a kind was never
    #: measured.
    seconds: float | None
    #: The place in the queue of the first new training or, without a new one, of the first resumed
    #: training. None if there is nothing to train.
    position: int | None
    #: The time until that training begins; None if it is not known.
    starts_in: float | None


@uncollected()
def dry_run(
    database: Database,
    runs: Sequence[NewRun],
    *,
    owner: str | None = None,
    priority: int = 0,
    force: bool = False,
    rules: Rules = DEFAULT_RULES,
    limits: Limits = NO_LIMITS,
    prefer: Collection[str] = (),
) -> DryRun:
    """What `store.experiments.submit.submit` would do with these runs.

    Raises:
        TooManyQueued, OriginNotKept, StateNotKept: if `submit` would raise it.
    """
    new: dict[str, NewRun] = {run.train_id: run for run in runs}
    with database.read() as session:
        current = {} if force else current_runs(session, new)
        again = _to_be_resumed(session, current.values())
        added = [run for train_id, run in new.items() if train_id not in current]
        from_states = [replace(run, course_id=None) for run in added] if force else added
        begins = starting_states(session, from_states, prefer)
        ahead = states_ahead(session, new.values(), current)
        steps = {run.train_id: steps_left(run, begins.get(run.train_id)) for run in added}
        for row in again:
            state = ahead.get(row.train_id)
            left = row.steps if state is None else steps_left(new[row.train_id], state)
            steps[row.train_id] = left
        check_queued(session, owner, limits, len(added) + len(again))
        now = session.scalar(select(db_now())) or 0.0
        known = paces(session, [run.pace_key for run in new.values()])
        found = scene(session, JobKind.TRAIN, rules) if again or added else None
    jobs: dict[str, Ahead] = {}
    # Resumed jobs come first, as they are older than new ones.
    for row in again:
        pace = known.get(row.pace_key)
        took = None if pace is None else pace.seconds(steps[row.train_id])
        jobs[row.id] = as_ahead(row, pace, took)
    for run in added:
        pace = known.get(run.pace_key)
        jobs[run.train_id] = Ahead(
            run.train_id,
            owner or LOCAL,
            priority,
            limits.is_short(run, known, begins.get(run.train_id)),
            now,
            None if pace is None else pace.seconds(steps[run.train_id]),
            run.cohort_key,
            1 if pace is None else pace.together,
        )
    starts = {} if found is None else found.starts(jobs.values())
    mine = [run.train_id for run in added] or [row.id for row in again]
    first = min((starts[id] for id in mine), key=lambda start: start.position, default=None)
    each = [job.seconds / job.together for job in jobs.values() if job.seconds is not None]
    return DryRun(
        reused=len(runs) - len(added),
        again=len(again),
        steps=sum(steps.values()),
        seconds=sum(each) if len(each) == len(jobs) else None,
        position=None if first is None else first.position,
        starts_in=None if first is None else first.seconds,
    )


def _to_be_resumed(session: Session, run_ids: Iterable[str]) -> list[Any]:
    """The training jobs of these runs that failed or were cancelled."""
    newest = select(func.max(Checkpoint.step)).where(Checkpoint.run_id == Run.id).scalar_subquery()
    steps: Any = Run.steps - func.coalesce(newest, 0)
    found: list[Any] = []
    for part in parts(run_ids):
        found += session.execute(
            select(
                Job.id,
                Run.train_id,
                Job.owner,
                Job.priority,
                Job.short,
                Job.created_at,
                Job.pace_key,
                Job.cohort_key,
                steps.label("steps"),
            )
            .join(Run, (Job.run_id == Run.id) & (Job.kind == JobKind.TRAIN))
            .where(Run.id.in_(part), Job.state.in_(JOB_RESUMABLE))
        )
    return found
