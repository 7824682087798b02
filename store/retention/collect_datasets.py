"""Removing what was stored of data sets that no row names any more."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from store.database.connection import Database
from store.datasets import unnamed_digests
from store.files.dataset_folder import DatasetFolder
from store.files.folders import MARK, check_mark

_DOOMED = ".doomed-"
_OURS = re.compile(rf"({re.escape(_DOOMED)})?([0-9a-f]{{64}})")
_NOTES = "*.imported"
"""Notes beside the folders: each holds the digest that an operator's file was stored under."""


def collect_datasets(database: Database, folder: DatasetFolder, *, grace_seconds: float) -> int:
    """Remove the folders of data sets that no row names. This is safe beside all other work.

    A data set is stored first and recorded later, so a young folder is left alone. So is what was
    stored of an operator's own file.

    Returns:
        How many folders were removed.

    Raises:
        StorageTrouble: if the folder is not the database's own.
    """
    if not (folder.root / MARK).exists():
        return 0  # Nobody has uploaded anything here.
    check_mark(database, folder)
    before = time.time() - grace_seconds
    removed = 0
    for path in sorted(folder.root.iterdir()):
        ours = _OURS.fullmatch(path.name)
        with suppress(FileNotFoundError):
            if ours is not None and _newest(path) < before:
                removed += remove_unnamed(database, folder, ours[2])
    return removed


def remove_unnamed(database: Database, folder: DatasetFolder, digest: str) -> int:
    """Remove what is stored under a digest if no data set has it. Returns how many were removed."""
    path, doomed = folder.path(digest), folder.root / f"{_DOOMED}{digest}"
    if _named(database, folder, digest):
        if doomed.exists():
            # A removal was killed, and the data set has been recorded since.
            _bring_back(doomed, path)
        return 0
    # After the renaming, whoever stores the same data set finds none there. Somebody may have
    # recorded it just before, which the second look finds.
    with suppress(FileNotFoundError):
        if path.exists():
            if doomed.exists():
                shutil.rmtree(doomed, ignore_errors=True)
            path.replace(doomed)
    if _named(database, folder, digest):
        _bring_back(doomed, path)
        return 0
    for resized in folder.root.glob(f"{digest}-*"):
        resized.unlink(missing_ok=True)
    return _remove(doomed)


def _named(database: Database, folder: DatasetFolder, digest: str) -> bool:
    """Whether a data set of the database, or an operator's file, is stored under a digest."""
    if not unnamed_digests(database, [digest]):
        return True
    for note in folder.root.glob(_NOTES):
        with suppress(FileNotFoundError):
            if note.read_text().strip() == digest:
                return True
    return False


def _bring_back(doomed: Path, path: Path) -> None:
    try:
        doomed.rename(path)
    except FileNotFoundError:
        pass  # Another removal has taken it.
    except OSError:
        shutil.rmtree(doomed, ignore_errors=True)  # It has been stored again meanwhile.


def _remove(path: Path) -> int:
    there = path.exists()
    shutil.rmtree(path, ignore_errors=True)
    return int(there and not path.exists())


def _newest(path: Path) -> float:
    """When something in a folder last changed."""
    newest = path.stat().st_mtime
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                newest = max(newest, Path(folder, name).stat().st_mtime)
    return newest
