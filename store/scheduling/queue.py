"""The queue as it stands: its owners, the waiting jobs, their places and expected starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.tables import Checkpoint, Job, Run, Served
from store.scheduling.fair_share import FairShare, Held, Rules, Share
from store.scheduling.forecast import Ahead, Start, forecast
from store.scheduling.groups import counted_groups, waiting_groups
from store.scheduling.pace import Pace, paces
from store.states import JobKind, JobState
from store.workers.presence import able_workers


class Place(NamedTuple):
    """A job in the queue."""

    job_id: str
    kind: JobKind
    #: None for the evaluation of a file.
    run_id: str | None
    #: None for training.
    evaluation_id: str | None
    owner: str
    priority: int
    short: bool
    posted_at: float
    #: 1 is next.
    position: int
    #: Seconds until a worker takes it; None if they are not known.
    starts_in: float | None
    #: How long it will take a worker; None if no job like it was ever measured.
    seconds: float | None


@dataclass(frozen=True, slots=True)
class OwnerStanding:
    """What one owner has and had of the workers of a kind."""

    owner: str
    kind: JobKind
    waiting: int
    running: int
    #: Recent service in seconds of workers, by which owners are ordered
    #: (`store.scheduling.fair_share`).
    served: float
    #: Whether none of their waiting jobs is taken until a running one ends.
    full: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs that wait for workers of one kind, in order."""

    kind: JobKind
    places: Sequence[Place]
    owners: Sequence[OwnerStanding]
    #: How many workers take such jobs or do one.
    workers: int
    #: The first place of each run that has one.
    of_run: Mapping[str, Place]


def fair_share(
    session: Session, kind: JobKind, rules: Rules, *, most: int | None = None
) -> FairShare:
    """The fair share among the jobs of a kind at this moment.

    With `most`, the waiting jobs of a group are counted no further, so that it costs the same
    however many wait.
    """
    now = session.scalar(select(db_now()))
    assert now is not None
    if most is None:
        waiting = counted_groups(session, kind)
    else:
        waiting = waiting_groups(session, kind, most=most)
    held = session.execute(
        select(Job.worker, Job.owner, Job.priority, Job.short, Job.claimed_at, Job.together).where(
            Job.state == JobState.RUNNING, Job.kind == kind
        )
    )
    served = (Served.owner, Served.priority, Served.short)
    shares = session.execute(
        select(*served, Served.seconds, Served.at, Served.claimed_at).where(Served.kind == kind)
    )
    return FairShare(
        now,
        rules,
        waiting,
        [
            # A running job has a worker and a time; the defaults are for the type checker alone.
            Held(worker or "", owner, priority, short, since or now, together)
            for worker, owner, priority, short, since, together in held
        ],
        [Share(*row) for row in shares],
    )


def queue(database: Database, kind: JobKind, rules: Rules) -> Queue:
    """The queue of a kind, as it is now."""
    with database.read() as session:
        found = scene(session, kind, rules)
    ahead = found.ahead
    starts = found.starts()
    places = [_place(kind, row, ahead[row.id], starts[row.id]) for row in found.waiting]
    places.sort(key=attrgetter("position"))
    # Reversed, so that the first place of a run is the one that stays.
    of_run = {place.run_id: place for place in reversed(places) if place.run_id is not None}
    return Queue(kind, places, _owners(kind, found.now), len(found.able), of_run)


@dataclass(frozen=True)
class Scene:
    """All that a forecast depends on.

    It is read in a transaction, and the forecast is made after the transaction has ended.
    """

    now: FairShare
    #: The names of the workers that take such jobs or do one.
    able: Set[str]
    waiting: Sequence[Any]
    running: Sequence[Any]
    paces: dict[str, Pace]

    @cached_property
    def ahead(self) -> dict[str, Ahead]:
        """The waiting jobs by their ids."""
        found: dict[str, Ahead] = {}
        for row in self.waiting:
            pace = self.paces.get(row.pace_key)
            found[row.id] = as_ahead(row, pace, None if pace is None else pace.seconds(row.steps))
        return found

    def starts(self, more: Iterable[Ahead] = ()) -> dict[str, Start]:
        """When each job starts, if `more` jobs waited that are not in the database."""
        held: dict[str, list[Ahead]] = defaultdict(list)
        for row in self.running:
            pace = self.paces.get(row.pace_key)
            held[row.worker].append(as_ahead(row, pace, _left(row, self.paces)))
        waiting = [*self.ahead.values(), *more]
        return forecast(self.now, waiting, held, idle=len(self.able - held.keys()))


def scene(session: Session, kind: JobKind, rules: Rules) -> Scene:
    """All that a forecast of the jobs of a kind depends on."""
    now = fair_share(session, kind, rules)
    able = able_workers(session, kind)
    waiting = _jobs(session, kind, JobState.QUEUED) if now.waiting else []
    running = _jobs(session, kind, JobState.RUNNING)
    known = paces(session, {row.pace_key for row in (*waiting, *running)})
    return Scene(now, able, waiting, running, known)


def as_ahead(row: Any, pace: Pace | None, seconds: float | None) -> Ahead:
    """A row of a job as the forecast takes it."""
    return Ahead(
        row.id,
        row.owner,
        row.priority,
        row.short,
        row.created_at,
        seconds,
        row.cohort_key,
        1 if pace is None else pace.together,
    )


def _left(row: Any, known: dict[str, Pace]) -> float | None:
    """How long a running job will still take, by its pace or else by its own progress."""
    pace, progress = known.get(row.pace_key), row.progress or {}
    passed = max(0.0, row.now - (row.claimed_at or row.now))
    if pace is None:
        eta: float | None = progress.get("eta_seconds")
        return None if eta is None else float(eta)
    measured = progress.get("measured") or {}
    to_step = measured.get("to_step")
    if to_step is None:
        # It has reported nothing yet, or is an evaluation.
        return float(max(0.0, pace.seconds(row.steps) - passed))
    made = to_step - (measured.get("from_step") or 0)
    step_seconds: float = measured["step_seconds"] / made if made else pace.step_seconds
    other = max(0.0, pace.other_seconds - max(0.0, passed - (measured.get("step_seconds") or 0.0)))
    return float(max(0, row.all_steps - to_step) * step_seconds + other)


def _jobs(session: Session, kind: JobKind, state: JobState) -> Sequence[Any]:
    """Jobs in a state, each with the steps that are left after its newest checkpoint."""
    made = select(func.max(Checkpoint.step)).where(Checkpoint.run_id == Job.run_id)
    steps: Any = Run.steps - func.coalesce(made.scalar_subquery(), 0)
    columns = [
        Job.id,
        Job.run_id,
        Job.evaluation_id,
        Job.owner,
        Job.priority,
        Job.short,
        Job.created_at,
        Job.worker,
        Job.claimed_at,
        Job.progress,
        Job.pace_key,
        Job.cohort_key,
        db_now().label("now"),
    ]
    which = (Job.kind == kind, Job.state == state)
    connection = session.connection()
    if kind is JobKind.EVALUATE:
        nothing = literal(0)
        return connection.execute(
            select(*columns, nothing.label("steps"), nothing.label("all_steps")).where(*which)
        ).all()
    return connection.execute(
        select(*columns, steps.label("steps"), Run.steps.label("all_steps"))
        .join(Run, Run.id == Job.run_id)
        .where(*which)
    ).all()


def _place(kind: JobKind, row: Any, job: Ahead, start: Start) -> Place:
    return Place(
        row.id,
        kind,
        row.run_id,
        row.evaluation_id,
        row.owner,
        row.priority,
        row.short,
        row.created_at,
        start.position,
        start.seconds,
        job.seconds,
    )


def _owners(kind: JobKind, now: FairShare) -> list[OwnerStanding]:
    waiting: dict[str, int] = defaultdict(int)
    for group in now.waiting:
        waiting[group.owner] += group.count
    owners = {*waiting, *(one.owner for one in now.held), *(one.owner for one in now.shares)}
    return [
        OwnerStanding(
            owner,
            kind,
            waiting[owner],
            now.running(owner),
            now.served(owner),
            now.room(owner) <= 0,
        )
        for owner in sorted(owners, key=lambda owner: (now.served(owner), owner))
    ]
