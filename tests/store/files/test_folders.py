from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.errors import FolderOfAnother, NotWritable, StorageAway
from store.files.checkpoint_folder import CheckpointFolder
from store.files.folders import MARK, check_mark
from store.files.objects import ObjectFolder


@pytest.fixture
def folder(database: Database, tmp_path: Path) -> ObjectFolder:
    """A folder that belongs to the database, with something in it."""
    folder = ObjectFolder(tmp_path / "share" / "objects")
    check_mark(database, folder)
    folder.put(b"codes")
    return folder


def test_a_folder_belongs_to_the_database_that_first_asks_for_it(
    database: Database, folder: ObjectFolder
) -> None:
    check_mark(database, folder)
    checkpoints = CheckpointFolder(folder.root)
    # Both may be one folder, which has one mark.
    check_mark(database, checkpoints)
    assert len((folder.root / MARK).read_text().strip()) == 32


def test_a_folder_that_is_not_mounted_is_told_from_an_empty_one(
    database: Database, folder: ObjectFolder, tmp_path: Path
) -> None:
    mark = (folder.root / MARK).read_text().strip()
    (tmp_path / "share").rename(tmp_path / "away")
    for as_found in ("missing", "empty"):
        if as_found == "empty":
            folder.root.mkdir(parents=True)
        with pytest.raises(StorageAway, match="there is none") as away:
            check_mark(database, folder)
        for told in (str(folder.root), mark, "Mount", "HEDDLE_OBJECTS"):
            assert told in str(away.value)
    shutil.rmtree(tmp_path / "share")
    (tmp_path / "away").rename(tmp_path / "share")
    check_mark(database, folder)


def test_another_folder_is_named_by_its_mark(
    database: Database, folder: ObjectFolder, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / MARK).write_text("of another database\n")
    with pytest.raises(StorageAway, match="it is of another database"):
        check_mark(database, ObjectFolder(other))
    # As the error advises who has lost the folder for good.
    (other / MARK).write_text((folder.root / MARK).read_text())
    check_mark(database, ObjectFolder(other))


def test_a_file_in_place_of_a_folder_is_away(database: Database, folder: ObjectFolder) -> None:
    shutil.rmtree(folder.root)
    folder.root.write_text("a file")
    with pytest.raises(StorageAway, match="Not a directory"):
        check_mark(database, folder)


def test_a_folder_that_was_marked_and_not_recorded_keeps_its_mark(
    database: Database, tmp_path: Path
) -> None:
    folder = ObjectFolder(tmp_path / "objects")
    folder.root.mkdir()
    (folder.root / MARK).write_text("0123")
    check_mark(database, folder)
    check_mark(database, folder)
    assert (folder.root / MARK).read_text() == "0123"


def test_a_mark_that_could_not_be_recorded_is_taken_off_again(
    database: Database, tmp_path: Path
) -> None:
    folder = ObjectFolder(tmp_path / "objects")
    folder.put(b"codes")

    def refuse(_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

    event.listen(Session, "before_commit", refuse)
    try:
        with pytest.raises(OperationalError):
            check_mark(database, folder)
    finally:
        event.remove(Session, "before_commit", refuse)
    assert not (folder.root / MARK).exists()
    check_mark(database, folder)


def test_a_new_database_does_not_take_the_files_of_another(
    database: Database, tmp_path: Path
) -> None:
    folder = ObjectFolder(tmp_path / "objects")
    folder.put(b"codes")
    (folder.root / MARK).write_text("of another database")
    for _ in range(2):
        with pytest.raises(FolderOfAnother, match="HEDDLE_OBJECTS"):
            check_mark(database, folder)
    # Its owner has said that the other one is gone.
    (folder.root / MARK).unlink()
    check_mark(database, folder)


def test_a_folder_that_cannot_be_marked_is_not_recorded(database: Database, tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path / "objects")
    (tmp_path / "objects").write_text("a file")
    with pytest.raises(NotWritable):
        check_mark(database, folder)
    (tmp_path / "objects").unlink()
    check_mark(database, folder)


def test_processes_that_ask_at_once_agree_on_one_mark(database_url: str, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from store.database.connection import Database; "
    code += (
        "from store.files.folders import check_mark; from store.files.objects import ObjectFolder; "
    )
    code += f"folder = ObjectFolder(Path({str(tmp_path / 'objects')!r})); "
    code += f"database = Database({database_url!r}); print('ready', flush=True); "
    code += "sys.stdin.readline(); check_mark(database, folder)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 4


def test_a_folder_without_room_says_so_and_is_left_clean(
    folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(folder.root.rglob("*"))
    folder.check_writable()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        for write in (folder.check_writable, lambda: folder.put(b"more")):
            with pytest.raises(NotWritable, match="cannot be written: No space left") as refused:
                write()
            assert refused.value.errno == errno.ENOSPC
    assert sorted(folder.root.rglob("*")) == before
