from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from store.database.connection import Database
from store.datasets import add_dataset
from store.errors import StorageAway
from store.files.dataset_folder import DatasetFolder
from store.files.folders import MARK, check_mark
from store.retention import collect_datasets as module
from store.retention.collect_datasets import collect_datasets, remove_unnamed
from tests.store.test_datasets import a_dataset

KEPT, GONE = "ab" * 32, "cd" * 32


@pytest.fixture
def folder(database: Database, tmp_path: Path) -> DatasetFolder:
    folder = DatasetFolder.below(tmp_path / "data")
    check_mark(database, folder)
    return folder


def store(folder: DatasetFolder, name: str, age: float = 3600) -> Path:
    path = folder.root / name
    path.mkdir()
    (path / "images").write_bytes(b"x")
    for one in (path / "images", path):
        os.utime(one, (time.time() - age, time.time() - age))
    return path


def test_what_no_row_names_is_removed_once_it_is_old(
    database: Database, folder: DatasetFolder
) -> None:
    add_dataset(database, a_dataset(digest=KEPT))
    kept, gone, operators = (store(folder, name) for name in (KEPT, GONE, "12" * 32))
    young, strange = store(folder, "ef" * 32, age=0), store(folder, "notes")
    (folder.root / f"{'34' * 32}.imported").write_text("12" * 32)
    resized = folder.root / f"{GONE}-cropNone-resize64.bytes"
    resized.write_bytes(b"x")
    assert collect_datasets(database, folder, grace_seconds=600) == 1
    there = [one for one in (kept, gone, operators, young, strange, resized) if one.exists()]
    assert there == [kept, operators, young, strange]
    assert (folder.root / MARK).exists()


def test_what_is_recorded_during_its_removal_stays(
    database: Database, folder: DatasetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = store(folder, KEPT), module.unnamed_digests

    def recorded_after_the_first_look(database: Database, digests: list[str]) -> set[str]:
        found = known(database, digests)
        if found:
            add_dataset(database, a_dataset(digest=KEPT))
        return found

    monkeypatch.setattr(module, "unnamed_digests", recorded_after_the_first_look)
    assert remove_unnamed(database, folder, KEPT) == 0
    assert (path / "images").read_bytes() == b"x"


def test_what_a_killed_removal_left_aside_is_brought_back_if_it_is_recorded(
    database: Database, folder: DatasetFolder
) -> None:
    store(folder, f".doomed-{KEPT}")
    add_dataset(database, a_dataset(digest=KEPT))
    collect_datasets(database, folder, grace_seconds=600)
    assert [path.name for path in sorted(folder.root.iterdir())] == [KEPT, MARK]


def test_the_folder_of_another_database_is_left_alone(
    database: Database, folder: DatasetFolder
) -> None:
    path = store(folder, GONE)
    (folder.root / MARK).write_text("another\n")
    with pytest.raises(StorageAway, match="HEDDLE_DATA"):
        collect_datasets(database, folder, grace_seconds=600)
    assert path.exists()
