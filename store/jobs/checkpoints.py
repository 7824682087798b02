"""The rows of checkpoints. They decide which files of `store.files.checkpoint_folder` count."""

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
    """Record a written checkpoint, and forget the run's checkpoints beyond the newest `keep`.

    `width` is that of the cohort that made it. To go on with the same bits, the run needs the same
    width on the same `device_model`. When a run has come further than ever, its earlier losses no
    longer count.

    Returns:
        The paths of the forgotten checkpoints, whose files may now be removed.

    Raises:
        LeaseLost: if the job is no longer this worker's. Nothing was written. The caller should
            remove the file, as no row names it.
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
        # Stopping right after a checkpoint writes one of the same step again.
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
    """The files among these that count, as a row of some run names them."""
    return {
        path
        for part in parts(paths)
        for path in session.scalars(
            select(tables.Checkpoint.path).where(tables.Checkpoint.path.in_(part))
        )
    }


def unnamed_paths(database: Database, paths: Iterable[str]) -> list[str]:
    """The files among these that no row names."""
    wanted = list(paths)
    with database.read() as session:
        named = named_paths(session, wanted)
    return [path for path in wanted if path not in named]


def paths_below(session: Session, run_id: str) -> list[str]:
    """The files in a run's folder that a row names: of this run or of runs that began there."""
    return list(
        session.scalars(
            select(tables.Checkpoint.path)
            .where(tables.Checkpoint.path.startswith(f"{run_id}/", autoescape=True))
            .distinct()
        )
    )


def unbind_width(database: Database, claim: Claim) -> None:
    """Allow a run to go on at any width, as it cannot at its own. Its last bits may then differ.

    Raises:
        LeaseLost: if the job is no longer this worker's; nothing was written.
    """
    with database.write() as session:
        hold(session, claim)
        session.execute(
            update(tables.Job).where(tables.Job.id == claim.job_id).values(cohort_width=None)
        )


def checkpoints(database: Database, run_id: str) -> list[Checkpoint]:
    """A run's recorded checkpoints, newest first."""
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


# The fence comes first: if a later worker began at an older step, the checkpoints of higher steps
# were damaged.
_NEWEST_FIRST = (tables.Checkpoint.fence.desc(), tables.Checkpoint.step.desc())
