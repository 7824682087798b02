"""Claiming jobs, and checking that a claim still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true, update
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.tables import Job, Run
from store.errors import LeaseLost
from store.jobs.announce import announcing
from store.jobs.attempts import Taken, begin_attempts, note_turns
from store.jobs.transitions import transition_evaluations, transition_jobs, transition_runs
from store.scheduling.fair_share import Rules, Waiting
from store.scheduling.groups import QUEUED, groups_beside
from store.scheduling.queue import fair_share
from store.states import EvaluationState, JobKind, JobState, RunState

ALONE_AFTER_LOSSES = 2
"""A job that was lost so often may be the cause itself, so it goes alone, at a width of one."""


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class _Which:
    """Which waiting jobs may be claimed."""

    condition: ColumnElement[bool]
    #: The key that all of them have; None if they may have any.
    cohort_key: str | None = None


_ANY = _Which(true())


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's claim of a job, which lasts for as long as the worker renews its lease."""

    job_id: str
    kind: JobKind
    #: None for the evaluation of a file.
    run_id: str | None
    #: None for training.
    evaluation_id: str | None
    #: Higher than that of every earlier claim of this job.
    fence: int
    #: How often the job has been claimed, this time included.
    attempts: int
    #: How often it was lost since it was last asked for or came further.
    losses: int
    #: Training jobs of one key can be done side by side; a job without one goes alone.
    cohort_key: str | None
    #: The width at which training goes on with the same bits on this device; None if it is free.
    cohort_width: int | None

    @property
    def trains(self) -> str:
        """The run to train. Raises a ValueError for an evaluation."""
        if self.run_id is None or self.evaluation_id is not None:
            raise ValueError(f"Job {self.job_id} is for an evaluation, not for training.")
        return self.run_id

    @property
    def evaluates(self) -> str:
        """The evaluation to make. Raises a ValueError for training."""
        if self.evaluation_id is None:
            raise ValueError(f"Job {self.job_id} is for training, not for an evaluation.")
        return self.evaluation_id


def claim(
    database: Database,
    kind: JobKind,
    *,
    worker: str,
    lease_seconds: float,
    width: int = 1,
    device_model: str | None = None,
    rules: Rules = DEFAULT_RULES,
) -> list[Claim]:
    """Claim up to `width` waiting jobs of a kind, in the order of `store.scheduling.fair_share`.

    No other worker gets the same jobs until they are released or their leases run out. There are
    fewer if fewer wait or other workers were faster. There may be none.

    Args:
        database: where the jobs are.
        kind: what the worker can do.
        worker: the name of the machine and the process, for people.
        lease_seconds: how long the worker may be silent; `beat` renews the lease.
        width: how many jobs at most.
        device_model: the device that is to train. The width of a checkpoint binds only on the
            device model that made it.
        rules: what the fair share depends on.
    """
    return _claim(database, kind, _ANY, width, worker, lease_seconds, device_model, rules)


def count_beside(database: Database, held: Claim, *, device_model: str, most: int) -> int:
    """How many waiting jobs could be trained beside a held one, counted up to `most`."""
    if _goes_alone(held):
        return 0
    which = (Job.state == QUEUED, _beside(held, device_model))
    with database.read() as session:
        waiting = select(Job.id).where(*which).limit(most)
        return session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


def claim_beside(
    database: Database,
    held: Claim,
    *,
    device_model: str,
    width: int,
    worker: str,
    lease_seconds: float,
    rules: Rules = DEFAULT_RULES,
) -> list[Claim]:
    """Claim up to `width` more jobs that can be trained beside a held one, in their order."""
    if width < 1 or _goes_alone(held):
        return []
    which = _Which(_beside(held, device_model), held.cohort_key)
    return _claim(database, JobKind.TRAIN, which, width, worker, lease_seconds, device_model, rules)


def _claim(
    database: Database,
    kind: JobKind,
    which: _Which,
    width: int,
    worker: str,
    lease_seconds: float,
    device_model: str | None,
    rules: Rules,
) -> list[Claim]:
    with database.write() as session:
        candidates = _lock_next(session, kind, which, width, rules)
        if not candidates:
            return []
        order = [job.id for job in candidates]
        with announcing(session, (job.run_id for job in candidates)):
            rows = session.execute(
                transition_jobs(JobState.RUNNING, Job.id.in_(order))
                .values(
                    fence=Job.fence + 1,
                    attempts=Job.attempts + 1,
                    lease_until=db_now() + lease_seconds,
                    worker=worker,
                    claimed_at=db_now(),
                    together=1,
                    give_way=False,
                )
                .returning(
                    Job.id,
                    Job.kind,
                    Job.run_id,
                    Job.evaluation_id,
                    Job.fence,
                    Job.attempts,
                    Job.losses,
                    Job.cohort_key,
                    _width_on(device_model),
                    Job.owner,
                    Job.priority,
                    Job.short,
                    Job.claimed_at,
                )
            ).all()
            claims = [Claim(*row) for *row, _, _, _, _ in rows]
            taken = [
                Taken(one.job_id, one.fence, kind, one.run_id, one.evaluation_id, *group)
                for one, (*_, owner, priority, short, at) in zip(claims, rows, strict=True)
                for group in [(owner, priority, short, at)]
            ]
            begin_attempts(session, taken, worker=worker, device_model=device_model)
            _count_together(session, worker, len(claims))
            transition_runs(
                session,
                (taken.trains for taken in claims if taken.evaluation_id is None),
                RunState.TRAINING,
            )
            transition_evaluations(
                session,
                (taken.evaluation_id for taken in claims if taken.evaluation_id is not None),
                EvaluationState.RUNNING,
            )
            note_turns(session, taken)
    return sorted(claims, key=lambda taken: order.index(taken.job_id))


def _width_on(device_model: str | None) -> ColumnElement[int | None]:
    """The width that binds a job on this device; null if none does."""
    binds = and_(Job.cohort_device == device_model, Job.losses < ALONE_AFTER_LOSSES)
    return case((binds, Job.cohort_width), else_=None)


def _goes_alone(held: Claim) -> bool:
    """Whether a job is to be trained without others."""
    return held.cohort_key is None or held.losses >= ALONE_AFTER_LOSSES


def _beside(held: Claim, device_model: str) -> ColumnElement[bool]:
    """The condition that a job can be trained beside a held one: by its key and its width."""
    bound = _width_on(device_model)
    free = bound.is_(None)
    fits = free if held.cohort_width is None else or_(free, bound == held.cohort_width)
    return and_(
        Job.kind == JobKind.TRAIN,
        Job.cohort_key == held.cohort_key,
        Job.losses < ALONE_AFTER_LOSSES,
        fits,
    )


def _count_together(session: Session, worker: str, taken: int) -> None:
    """Record how many jobs a worker does side by side, as they share its seconds of service."""
    mine = (Job.state == JobState.RUNNING, Job.worker == worker)
    number = session.scalar(select(func.count()).where(*mine)) or taken
    if number > 1:
        lock_jobs(session, *mine)
        session.execute(update(Job).where(*mine).values(together=number))


def lock_jobs(session: Session, *which: ColumnElement[bool]) -> None:
    """Lock running jobs. All callers lock in one order, so that none wait in a circle."""
    session.execute(select(Job.id).where(*which).order_by(Job.id).with_for_update(key_share=True))


def _lock_next(
    session: Session, kind: JobKind, which: _Which, width: int, rules: Rules
) -> list[Any]:
    """The waiting jobs whose turn it is, in order: `id` and `run_id` of each."""
    now = fair_share(session, kind, rules, most=1)
    key = which.cohort_key
    having = None if key is None else groups_beside(session, key)
    found: list[Any] = []
    for group in now.order():
        if len(found) == width:
            break
        if having is not None and (group.owner, group.priority, group.short) not in having:
            continue
        room = min(width - len(found), now.room(group.owner))
        if room >= 1:
            found += _lock_oldest(session, kind, group, which.condition, int(room))
    return found


def _lock_oldest(
    session: Session, kind: JobKind, group: Waiting, which: ColumnElement[bool], most: int
) -> list[Any]:
    """Lock the oldest jobs of a group.

    Jobs that another worker is taking at this moment are passed over and not waited for. A job is
    locked through its run, as everywhere. A job without a run is locked itself.
    """
    waiting = (
        select(Job.id, Job.run_id, Job.created_at)
        .where(
            Job.kind == kind,
            Job.state == QUEUED,
            Job.priority == group.priority,
            Job.owner == group.owner,
            Job.short == group.short,
            which,
        )
        .order_by(Job.created_at, Job.id)
        .limit(most)
    )
    queries = [
        waiting.join(Run, Run.id == Job.run_id).with_for_update(
            of=Run, skip_locked=True, key_share=True
        )
    ]
    if kind is JobKind.EVALUATE:
        # An outer join of jobs and runs would give no row of a run to lock here.
        queries.append(
            waiting.where(Job.run_id.is_(None)).with_for_update(skip_locked=True, key_share=True)
        )
    found = [job for query in queries for job in session.execute(query)]
    return sorted(found, key=lambda job: (job.created_at, job.id))[:most]


def still_held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The condition on a job's row under which its worker may still write."""
    return (Job.id == claim.job_id, Job.fence == claim.fence, Job.state == JobState.RUNNING)


def hold(session: Session, claim: Claim) -> bool:
    """Make sure that the job stays this worker's until the transaction ends.

    Returns:
        Whether somebody has asked for the job to be cancelled.

    Raises:
        LeaseLost: if the job has a newer fence or is no longer running.
    """
    cancel_requested = session.scalars(
        select(Job.cancel_requested).where(*still_held(claim)).with_for_update(key_share=True)
    ).one_or_none()
    if cancel_requested is None:
        raise LeaseLost(claim.job_id, claim.fence)
    return cancel_requested
