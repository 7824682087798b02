"""Folders of files that belong to a database, each known again by a mark that lies in it."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from store.database.connection import Database
from store.database.tables import Folder
from store.errors import FolderOfAnother, NotWritable, StorageAway
from store.files.whole_file import ASIDE, write_whole

MARK = "heddle-folder"
"""The name of the mark's file. It has no dot before it, so that whoever copies a folder by `*`
takes it along."""


class MarkedFolder:
    """A folder of files, which may lie on a share and be away."""

    #: Its name in the database; in upper case that of its setting, after `HEDDLE_`.
    kind: ClassVar[str]
    #: What people call it.
    noun: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self, probe_bytes: int = 1 << 20) -> None:
        """Make sure that something can be kept here: so much is written, synced and removed.

        Raises:
            NotWritable: if it cannot.
        """
        with (
            self.writing(),
            tempfile.NamedTemporaryFile(dir=self.root, prefix=ASIDE) as probe,
        ):
            # Random, as zeros take no room on some file systems.
            probe.write(os.urandom(probe_bytes))
            probe.flush()
            os.fsync(probe.fileno())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What the system refuses inside is `NotWritable`, a fact about this folder."""
        try:
            yield
        except OSError as error:
            raise NotWritable(self.noun, self.root, error) from error


def check_mark(database: Database, folder: MarkedFolder) -> None:
    """Make sure that a folder is the one that belongs to the database, and not what lies under a
    mount that is missing, or another folder.

    A database that knows none yet takes this one, which is created and marked where it has to be.
    Processes may do so at once: one marks, the others find the mark.

    Raises:
        StorageAway: if it has another mark, or none.
        FolderOfAnother: if the database knows none yet, and this one is another's.
        NotWritable: if it is to be marked and cannot be.
    """
    expected = _known(database, folder) or _take(database, folder)
    try:
        found: str | None = _read(folder)
        came = "there is none" if found is None else f"it is {found}"
    except OSError as error:
        found, came = None, f"it cannot be read: {error.strerror}"
    if found != expected:
        setting = f"HEDDLE_{folder.kind.upper()}"
        raise StorageAway(folder.noun, folder.root, setting, MARK, expected, came)


def _known(database: Database, folder: MarkedFolder) -> str | None:
    with database.read() as session:
        return session.scalar(select(Folder.mark).where(Folder.kind == folder.kind))


def _take(database: Database, folder: MarkedFolder) -> str:
    mark = secrets.token_hex(16)
    with suppress(IntegrityError), _unmarked_again(folder, mark), database.write() as session:
        # Others wait here until the mark is on the disk, and then meet an IntegrityError.
        session.execute(insert(Folder).values(kind=folder.kind, mark=mark))
        with folder.writing():
            found = _read(folder)
            if found is None:
                write_whole(folder.root, [f"{mark}\n".encode()], lambda _: folder.root / MARK)
        if found is not None:
            others = session.scalars(select(Folder.mark).where(Folder.kind != folder.kind)).all()
            # Both kinds may lie in one folder; and who marked it may have died before recording it.
            if found not in others and _holds_files(folder):
                setting = f"HEDDLE_{folder.kind.upper()}"
                raise FolderOfAnother(folder.noun, folder.root, setting, MARK)
            session.execute(update(Folder).where(Folder.kind == folder.kind).values(mark=found))
    known = _known(database, folder)
    assert known is not None
    return known


@contextmanager
def _unmarked_again(folder: MarkedFolder, mark: str) -> Iterator[None]:
    """Take a mark off a folder that could not be recorded: nobody would know it."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if _read(folder) == mark:
                (folder.root / MARK).unlink()
        raise


def _holds_files(folder: MarkedFolder) -> bool:
    return any(path.name != MARK for path in folder.root.iterdir())


def _read(folder: MarkedFolder) -> str | None:
    try:
        return (folder.root / MARK).read_bytes().decode(errors="replace").strip()
    except FileNotFoundError:
        return None
