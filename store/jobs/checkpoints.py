"""Which checkpoints count: the rows that name files of `store.files.checkpoint_folder`."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database, db_now
from store.database.rows import parts
from store.files.checkpoint_folder import Checkpoint
from store.jobs.claim import Claim, hold


def record_checkpoint(
    database: Database,
    claim: Claim,
    *,
    step: int,
    path: str,
    sha256: str,
    size: int,
    width: int,
    device_model: str,
    keep: int = 2,
) -> list[str]:
    """Make a written checkpoint count, and forget those of this run beyond the newest `keep`.

    `width` is that of the cohort that made it: what the run must be given again, on the same
    `device_model`, to go on with the same bits. One that has come further than ever is no longer
    held to have been lost before.

    Returns:
        Paths of the forgotten ones, whose files may now be removed.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written, and the caller
            had better remove the file, as nobody knows of it.
    """
    key = tuple_(tables.Checkpoint.fence, tables.Checkpoint.step)
    with database.write() as session:
        hold(session, claim)
        furthest = session.scalar(
            select(func.max(tables.Checkpoint.step)).where(tables.Checkpoint.run_id == claim.run_id)
        )
        values: dict[str, object] = {"cohort_width": width, "cohort_device": device_model}
        if furthest is None or step > furthest:
            values["losses"] = 0
        session.execute(update(tables.Job).where(tables.Job.id == claim.job_id).values(values))
        this = (tables.Checkpoint.run_id == claim.run_id, key == (claim.fence, step))
        # A stop right after a checkpoint writes the same step again.
        session.execute(delete(tables.Checkpoint).where(*this))
        session.execute(
            insert(tables.Checkpoint).values(
                run_id=claim.run_id,
                fence=claim.fence,
                step=step,
                path=path,
                sha256=sha256,
                bytes=size,
                created_at=db_now(),
            )
        )
        known = session.execute(
            select(tables.Checkpoint.fence, tables.Checkpoint.step, tables.Checkpoint.path)
            .where(tables.Checkpoint.run_id == claim.run_id)
            .order_by(*_NEWEST_FIRST)
        ).all()
        forgotten = known[keep:]
        for fence, old_step, _ in forgotten:
            session.execute(
                delete(tables.Checkpoint).where(
                    tables.Checkpoint.run_id == claim.run_id, key == (fence, old_step)
                )
            )
        paths = [old_path for _, _, old_path in forgotten]
        shared = named_paths(session, paths)
        return [old_path for old_path in paths if old_path not in shared]


def named_paths(session: Session, paths: Iterable[str]) -> set[str]:
    """Which of these files count: those that a row of any run names."""
    return {
        path
        for part in parts(paths)
        for path in session.scalars(
            select(tables.Checkpoint.path).where(tables.Checkpoint.path.in_(part))
        )
    }


def unnamed_paths(database: Database, paths: Iterable[str]) -> list[str]:
    """Which of these files do not count."""
    wanted = list(paths)
    with database.read() as session:
        named = named_paths(session, wanted)
    return [path for path in wanted if path not in named]


def paths_below(session: Session, run_id: str) -> list[str]:
    """The files in a run's own folder that count, for it or for runs that have begun there."""
    return list(
        session.scalars(
            select(tables.Checkpoint.path)
            .where(tables.Checkpoint.path.startswith(f"{run_id}/", autoescape=True))
            .distinct()
        )
    )


def unbind_width(database: Database, claim: Claim) -> None:
    """Let a run go on at any width, at the price of its last bits: at its own it cannot.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with database.write() as session:
        hold(session, claim)
        session.execute(
            update(tables.Job).where(tables.Job.id == claim.job_id).values(cohort_width=None)
        )


def checkpoints(database: Database, run_id: str) -> list[Checkpoint]:
    """A run's recorded checkpoints, newest first; empty when there are none."""
    with database.read() as session:
        rows = session.scalars(
            select(tables.Checkpoint)
            .where(tables.Checkpoint.run_id == run_id)
            .order_by(*_NEWEST_FIRST)
        ).all()
    return [
        Checkpoint(
            run_id=row.run_id,
            fence=row.fence,
            step=row.step,
            path=row.path,
            sha256=row.sha256,
            bytes=row.bytes,
            created_at=row.created_at,
        )
        for row in rows
    ]


# By fence first: a later worker that had to start from an older step has left the higher steps
# behind because they were torn.
_NEWEST_FIRST = (tables.Checkpoint.fence.desc(), tables.Checkpoint.step.desc())
