"""Workers that say they are there, again and again for as long as they are, and take jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.rows import insert_into
from store.database.tables import Job, Trouble, Worker
from store.states import JobKind, JobState
from store.workers.troubles import STALE_SECONDS as STALE_TROUBLE_SECONDS

STALE_SECONDS = 60.0
"""A worker that has not said that it is there for longer is gone."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What a worker says of itself."""

    name: str
    kind: JobKind
    host: str
    pid: int
    device: str
    device_model: str
    #: Of the device, in bytes; None where it cannot be told.
    memory_bytes: int | None
    memory_free_bytes: int | None


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a worker has."""

    #: None for the evaluation of a file.
    run_id: str | None
    #: None for training.
    evaluation_id: str | None
    since: float | None


@dataclass(frozen=True, slots=True)
class PresentWorker:
    """A worker, and what it does."""

    said: Presence
    started_at: float
    seen_at: float
    jobs: list[HeldJob]
    #: Why it takes no jobs.
    trouble: str | None


def say_present(database: Database, said: Presence, *, first: bool = False) -> None:
    """Say that a worker is there, and forget those that have not said so for long.

    Said for the `first` time by a process, it is there since now.
    """
    told = asdict(said) | {"seen_at": db_now()}
    since = {"started_at": db_now()}
    with database.write() as session:
        # Several may forget at one moment, and none is to wait for another.
        gone = select(Worker.name).where(Worker.seen_at < db_now() - STALE_SECONDS)
        names = session.scalars(gone.with_for_update(skip_locked=True)).all()
        session.execute(delete(Worker).where(Worker.name.in_(names)))
        session.execute(
            insert_into(session, Worker)
            .values(**told, **since)
            .on_conflict_do_update(index_elements=["name"], set_=told | (since if first else {}))
        )


def say_gone(database: Database, name: str) -> None:
    """Say that a worker ends."""
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.name == name))


def say_killed(database: Database, host: str, pids: Iterable[int]) -> None:
    """Say of processes on a host that they ended and could not say so themselves."""
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.host == host, Worker.pid.in_(list(pids))))


def processes_on(database: Database, host: str) -> set[int]:
    """The ids of the processes on a host that are there."""
    with database.read() as session:
        return set(
            session.scalars(
                select(Worker.pid).where(
                    Worker.host == host, Worker.seen_at > db_now() - STALE_SECONDS
                )
            )
        )


def present(database: Database) -> list[PresentWorker]:
    """The workers that are there, by kind and name."""
    with database.read() as session:
        rows = session.scalars(
            select(Worker)
            .where(Worker.seen_at > db_now() - STALE_SECONDS)
            .order_by(Worker.kind.desc(), Worker.name)
        ).all()
        names = [row.name for row in rows]
        jobs = session.execute(
            select(Job.worker, Job.run_id, Job.evaluation_id, Job.claimed_at)
            .where(Job.state == JobState.RUNNING, Job.worker.in_(names))
            .order_by(Job.claimed_at, Job.id)
        ).all()
        told = session.execute(
            select(Trouble.worker, Trouble.message).where(
                Trouble.seen_at > db_now() - STALE_TROUBLE_SECONDS
            )
        ).all()
    held: dict[str | None, list[HeldJob]] = {name: [] for name in names}
    for worker, run_id, evaluation_id, since in jobs:
        held[worker].append(HeldJob(run_id, evaluation_id, since))
    troubles = {row.worker: row.message for row in told}
    return [
        PresentWorker(
            Presence(**{name: getattr(row, name) for name in Presence.__slots__}),
            row.started_at,
            row.seen_at,
            held[row.name],
            troubles.get(row.name),
        )
        for row in rows
    ]


def able_workers(session: Session, kind: JobKind) -> set[str]:
    """The workers that do jobs of a kind or would: those in trouble are left out."""
    now = db_now()
    troubled = select(Trouble.worker).where(Trouble.seen_at > now - STALE_TROUBLE_SECONDS)
    here = session.scalars(
        select(Worker.name).where(
            Worker.kind == kind,
            Worker.seen_at > now - STALE_SECONDS,
            Worker.name.not_in(troubled),
        )
    )
    working = session.scalars(
        select(Job.worker).where(Job.kind == kind, Job.state == JobState.RUNNING).distinct()
    )
    return {name for name in (*here, *working) if name is not None}


def idle_workers(session: Session, kind: JobKind) -> int:
    """How many of them have nothing to do."""
    busy = session.scalar(
        select(func.count(Job.worker.distinct())).where(
            Job.kind == kind, Job.state == JobState.RUNNING
        )
    )
    return len(able_workers(session, kind)) - (busy or 0)
