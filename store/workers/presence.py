"""The presence of workers, which each of them reports again and again while it lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.rows import insert_into
from store.database.tables import Job, Trouble, Worker
from store.states import JobKind, JobState
from store.workers.troubles import STALE_SECONDS as STALE_TROUBLE_SECONDS

STALE_SECONDS = 60.0
"""A worker that has not reported its presence for longer is gone."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What a worker reports of itself."""

    name: str
    kind: JobKind
    host: str
    pid: int
    device: str
    device_model: str
    #: Of the device, in bytes; None if it is not known.
    memory_bytes: int | None
    memory_free_bytes: int | None
    #: Of a worker that trains: the rates of its device in each precision, once it measured them.
    precisions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a worker holds."""

    #: None for the evaluation of a file.
    run_id: str | None
    #: None for training.
    evaluation_id: str | None
    since: float | None


@dataclass(frozen=True, slots=True)
class PresentWorker:
    """A present worker, with its jobs and its trouble."""

    said: Presence
    started_at: float
    seen_at: float
    jobs: list[HeldJob]
    #: Why it takes no jobs.
    trouble: str | None


def say_present(database: Database, said: Presence, *, first: bool = False) -> None:
    """Record that a worker is present, and forget the workers that have long been silent.

    With `first`, the process reports for the first time, so its presence begins now.
    """
    told = asdict(said) | {"seen_at": db_now()}
    since = {"started_at": db_now()}
    with database.write() as session:
        # Several workers may do this at once, and none is to wait for another.
        gone = select(Worker.name).where(Worker.seen_at < db_now() - STALE_SECONDS)
        names = session.scalars(gone.with_for_update(skip_locked=True)).all()
        session.execute(delete(Worker).where(Worker.name.in_(names)))
        session.execute(
            insert_into(session, Worker)
            .values(**told, **since)
            .on_conflict_do_update(index_elements=["name"], set_=told | (since if first else {}))
        )


def say_gone(database: Database, name: str) -> None:
    """Record that a worker ends."""
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.name == name))


def say_killed(database: Database, host: str, pids: Iterable[int]) -> None:
    """Record that processes on a host were killed, which could not report it themselves."""
    with database.write() as session:
        session.execute(delete(Worker).where(Worker.host == host, Worker.pid.in_(list(pids))))


def processes_on(database: Database, host: str) -> set[int]:
    """The process ids of the present workers on a host."""
    with database.read() as session:
        return set(
            session.scalars(
                select(Worker.pid).where(
                    Worker.host == host, Worker.seen_at > db_now() - STALE_SECONDS
                )
            )
        )


def present(database: Database) -> list[PresentWorker]:
    """The present workers, in the order of kind and name."""
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
        reported = session.execute(
            select(Trouble.worker, Trouble.message).where(
                Trouble.seen_at > db_now() - STALE_TROUBLE_SECONDS
            )
        ).all()
    held: dict[str | None, list[HeldJob]] = {name: [] for name in names}
    for worker, run_id, evaluation_id, since in jobs:
        held[worker].append(HeldJob(run_id, evaluation_id, since))
    troubles = {row.worker: row.message for row in reported}
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


def measured_precisions(database: Database) -> list[dict[str, Any]]:
    """What the present workers measured of the precisions that they train in, by name."""
    with database.read() as session:
        found = session.scalars(
            select(Worker.precisions)
            .where(Worker.seen_at > db_now() - STALE_SECONDS, Worker.kind == JobKind.TRAIN)
            .order_by(Worker.name)
        )
        return [one for one in found if one is not None]


def able_workers(session: Session, kind: JobKind) -> set[str]:
    """The names of workers that do jobs of a kind or could; idle ones in trouble are left out."""
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
    """How many of the able workers have nothing to do."""
    busy = session.scalar(
        select(func.count(Job.worker.distinct())).where(
            Job.kind == kind, Job.state == JobState.RUNNING
        )
    )
    return len(able_workers(session, kind)) - (busy or 0)
