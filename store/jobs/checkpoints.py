"""Checkpoints: files in a folder, and the rows that say which of them count."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database, db_now
from store.database.ids import is_id
from store.database.rows import parts
from store.errors import BadName
from store.files.folders import MarkedFolder
from store.files.whole_file import write_whole
from store.jobs.claim import Claim, hold

_FILE = re.compile(r"\d+-\d+\.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A recorded checkpoint. Its file may be torn or gone: `CheckpointFolder.read_whole` tells."""

    run_id: str
    fence: int
    step: int
    #: Relative to the checkpoint folder.
    path: str
    sha256: str
    bytes: int
    created_at: float


class CheckpointFolder(MarkedFolder):
    """The files, at `<root>/<run id>/<fence>-<step>.safetensors`.

    The fence in the name keeps a worker that was given up from overwriting the files of the
    one that has taken over.
    """

    kind = "checkpoints"
    noun = "checkpoint folder"

    def write(self, run_id: str, fence: int, step: int, data: bytes) -> tuple[str, str, int]:
        """Write a checkpoint's file, whole or not at all; then `record_checkpoint` makes it count.

        Returns:
            The path relative to the folder, the SHA-256 in hex and the size in bytes.

        Raises:
            BadName: if `run_id` is not the id of a run.
            NotWritable: if the file cannot be written; nothing has changed.
        """
        path = f"{run_id}/{fence}-{step}.safetensors"
        place = self._place(path)
        with self.writing():
            _, sha256, size = write_whole(place.parent, [data], lambda _: place)
        return path, sha256, size

    def read_whole(self, checkpoint: Checkpoint) -> bytes | None:
        """The file's content; None if it is missing, unreadable for the disk, or not what was
        recorded.

        Going through `checkpoints` until one is whole finds where a run can go on.
        """
        try:
            data = self._place(checkpoint.path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # A bad sector.
                return None
            raise
        return data if hashlib.sha256(data).hexdigest() == checkpoint.sha256 else None

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files by their paths relative to the folder; missing ones are no error."""
        for path in paths:
            self._place(path).unlink(missing_ok=True)

    def clear(self, run_id: str, keep: Collection[str] = ()) -> None:
        """Delete all files of a run but those to keep, also what was never recorded.

        Raises:
            BadName: if `run_id` is not the id of a run.
        """
        if not is_id(run_id, "run"):
            raise BadName("the id of a run", run_id)
        folder = self.root / run_id
        with suppress(OSError):
            for path in folder.iterdir():
                if f"{run_id}/{path.name}" not in keep:
                    path.unlink(missing_ok=True)
            folder.rmdir()

    def _place(self, path: str) -> Path:
        run_id, _, file = path.partition("/")
        if not is_id(run_id, "run") or _FILE.fullmatch(file) is None:
            raise BadName("a path <run id>/<fence>-<step>.safetensors", path)
        return self.root / run_id / file


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
