"""Folders of files that belong to a database, each recognised by a mark in it."""

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
"""The name of the mark's file. It does not begin with a dot, so that copying a folder by `*` copies
the mark, too."""


class MarkedFolder:
    """A folder of files. It may lie on a network share and be away."""

    #: Its name in the database. In upper case, after `HEDDLE_`, it is the name of its setting.
    kind: ClassVar[str]
    #: Its name in messages to people.
    noun: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self, probe_bytes: int = 1 << 20) -> None:
        """Make sure that files can be kept here: write, sync and remove `probe_bytes`.

        Raises:
            NotWritable: if that fails.
        """
        with (
            self.writing(),
            tempfile.NamedTemporaryFile(dir=self.root, prefix=ASIDE) as probe,
        ):
            # The bytes are random, as zeros take no room on some file systems.
            probe.write(os.urandom(probe_bytes))
            probe.flush()
            os.fsync(probe.fileno())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an error of the system inside into `NotWritable` for this folder."""
        try:
            yield
        except OSError as error:
            raise NotWritable(self.noun, self.root, error) from error


def check_mark(database: Database, folder: MarkedFolder) -> None:
    """Make sure that a folder is the one that belongs to the database.

    It might be another folder, or the empty folder under a missing mount. A database that knows no
    folder of this kind yet takes this one. The folder is created and marked if necessary. Several
    processes may do so at once: one marks the folder, and the others find the mark.

    Raises:
        StorageAway: if the folder has another mark, or none.
        FolderOfAnother: if the database knows no folder yet, and this one is another database's.
        NotWritable: if the folder must be marked and cannot be.
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
            # Both kinds of files may lie in one folder, whose mark is then known already. A mark
            # in a folder without files is taken over, as its writer may have died before it
            # recorded the mark.
            if found not in others and _holds_files(folder):
                setting = f"HEDDLE_{folder.kind.upper()}"
                raise FolderOfAnother(folder.noun, folder.root, setting, MARK)
            session.execute(update(Folder).where(Folder.kind == folder.kind).values(mark=found))
    known = _known(database, folder)
    assert known is not None
    return known


@contextmanager
def _unmarked_again(folder: MarkedFolder, mark: str) -> Iterator[None]:
    """Remove the new mark from the folder if recording the mark fails."""
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
