"""Collecting: removing runs that nothing holds, and files that no row names."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from store.database.connection import Database
from store.database.rows import parts
from store.database.tables import Artifact, Evaluation, Run
from store.files.checkpoint_folder import CheckpointFolder
from store.files.folders import check_mark
from store.files.objects import ObjectFolder
from store.files.whole_file import ASIDE
from store.jobs.checkpoints import named_paths
from store.retention.holders import forget_unheld, unheld

_RUNS_AT_ONCE = 100
_FILES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collection has removed."""

    runs: int = 0
    checkpoints: int = 0
    objects: int = 0
    #: The size of all removed files.
    bytes: int = 0


def collect(
    database: Database,
    objects: ObjectFolder,
    checkpoints: CheckpointFolder,
    *,
    grace_seconds: float,
) -> Collected:
    """Remove runs and files that nothing refers to. This is safe beside all other work.

    A file is written first and recorded later, so a young file that no row names may still be
    recorded. It is left alone until it is `grace_seconds` old by the clock of its file system. The
    grace must be longer than any worker or client takes between writing and recording. If the
    process is killed during a collection, nothing is lost.

    Returns:
        What was removed.

    Raises:
        StorageTrouble: if a folder is not the database's own. The database knows no other files.
        OSError: if a folder cannot be read.
    """
    for folder in (objects, checkpoints):
        check_mark(database, folder)
    runs = collect_runs(database)
    of_checkpoints = _collect_checkpoints(database, checkpoints, grace_seconds)
    of_objects = _collect_objects(database, objects, grace_seconds)
    return Collected(
        runs=runs,
        checkpoints=len(of_checkpoints),
        objects=len(of_objects),
        bytes=sum(of_checkpoints) + sum(of_objects),
    )


def collect_runs(database: Database) -> int:
    """Delete the runs that nothing holds. Returns how many there were."""
    forgotten = 0
    while True:
        with database.read() as session:
            found = session.scalars(select(Run.id).where(unheld()).limit(_RUNS_AT_ONCE)).all()
        if not found:
            return forgotten
        with database.write() as session:
            forgotten += forget_unheld(session, found)


def _collect_checkpoints(
    database: Database, folder: CheckpointFolder, grace_seconds: float
) -> list[int]:
    """Remove the files of checkpoints that no row names. Returns their sizes."""
    removed: list[int] = []
    for old in _in_parts(_old_files(folder.root, _CHECKPOINTS, grace_seconds)):
        with database.read() as session:
            recorded = named_paths(session, (_name(path, folder) for path in old))
        for path in old:
            if _name(path, folder) not in recorded:
                removed += _unlink(path)
                # While the run is in training, its folder is not empty.
                _remove_if_empty(path.parent)
    return removed


def _name(path: Path, folder: CheckpointFolder) -> str:
    return path.relative_to(folder.root).as_posix()


def _collect_objects(database: Database, folder: ObjectFolder, grace_seconds: float) -> list[int]:
    """Remove objects that no row names. Returns their sizes."""
    removed: list[int] = []
    for old in _in_parts(_old_files(folder.root, _OBJECTS, grace_seconds)):
        named = _named(database, (_digest(path) for path in old))
        for path in old:
            if _digest(path) in named:
                if path.name.startswith(_DOOMED):
                    # A collection was killed after it had renamed this object.
                    path.replace(folder.path(_digest(path)))
            elif path.parent == folder.root:
                removed += _unlink(path)
            else:
                removed += _remove_object(database, folder, path, grace_seconds)
    return removed


def _remove_object(
    database: Database, folder: ObjectFolder, path: Path, grace_seconds: float
) -> list[int]:
    """Remove an object, unless the same content has just been put again."""
    # After the renaming, whoever puts the same content makes a new file.
    doomed = folder.root / f"{_DOOMED}{path.name}"
    old = _now(folder.root) - grace_seconds
    try:
        path.replace(doomed)
    except FileNotFoundError:
        return []  # Another collection has taken it.
    try:
        wanted = doomed.stat().st_mtime > old or bool(_named(database, [path.name]))
    except BaseException:
        doomed.replace(path)
        raise
    if wanted:
        doomed.replace(path)
        return []
    return _unlink(doomed)


_DOOMED, _PROBE = ".doomed-", ".now-"
# Only files with names that Heddle gives are removed.
_LEFT = rf"({re.escape(ASIDE)}|{re.escape(_PROBE)}).+"
_CHECKPOINTS = re.compile(rf"run_[^/]+/(\d+-\d+\.safetensors|{_LEFT})|{_LEFT}")
_OBJECTS = re.compile(rf"[0-9a-f]{{2}}/[0-9a-f]{{64}}|{re.escape(_DOOMED)}[0-9a-f]{{64}}|{_LEFT}")


def _digest(path: Path) -> str:
    return path.name.removeprefix(_DOOMED)


def _named(database: Database, digests: Iterable[str]) -> set[str]:
    """The digests among these that some row names."""
    named: set[str] = set()
    with database.read() as session:
        for part in parts(digests):
            for column in (Artifact.sha256, Evaluation.file_sha256):
                found = session.scalars(select(column).where(column.in_(part)))
                named.update(sha256 for sha256 in found if sha256 is not None)
    return named


def _old_files(root: Path, ours: re.Pattern[str], grace_seconds: float) -> Iterator[Path]:
    """Files below a folder that have one of our names and are at least `grace_seconds` old."""
    if not root.is_dir():
        return
    before = _now(root) - grace_seconds
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if not ours.fullmatch(path.relative_to(root).as_posix()):
                continue
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    yield path


def _now(folder: Path) -> float:
    """The time by the clock of the folder's file system, which may be another machine's."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=_PROBE) as file:
        return os.fstat(file.fileno()).st_mtime


def _in_parts(paths: Iterator[Path]) -> Iterator[list[Path]]:
    part: list[Path] = []
    for path in paths:
        part.append(path)
        if len(part) == _FILES_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _unlink(path: Path) -> list[int]:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return []
    return [size]


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
