"""Uploaded data sets: their names, what is known of them, and what holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Text, cast, delete, func, literal, select, update
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database, db_now
from store.database.ids import new_id
from store.database.pages import Page, cut, decode
from store.database.rows import parts
from store.database.tables import DatasetName, ExperimentRun, Run
from store.database.tries import until_written
from store.errors import DatasetChanged, DatasetInUse, NameTaken, NotFound


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A data set as a request describes it. Its images are stored already."""

    name: str
    #: The digest of what is stored, which names its folder.
    digest: str
    description: str
    licence: str
    #: Whether lists leave it out, unless they are asked for private ones.
    private: bool
    #: The name of the file that was sent.
    source: str
    #: What was found in the file.
    about: dict[str, Any]
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredDataset(NewDataset):
    """A data set that was uploaded."""

    id: str
    created_at: float
    #: The names that it had before. They lead to it for as long as it is there.
    former_names: list[str]


@dataclass(frozen=True, slots=True)
class KnownName:
    """A name of a data set, and what it means."""

    name: str
    digest: str
    #: The name that the data set has now.
    current: str
    private: bool


def add_dataset(database: Database, new: NewDataset) -> StoredDataset:
    """Record a data set under its name.

    Raises:
        NameTaken: if another has the name, or had it.
    """

    def write(session: Session) -> StoredDataset:
        _check_free(session, new.name)
        values = {name: getattr(new, name) for name in NewDataset.__slots__}
        row = tables.Dataset(
            id=new_id("data"), created_at=session.scalar(select(db_now())), **values
        )
        session.add(row)
        session.flush()
        session.add(DatasetName(name=new.name, dataset_id=row.id))
        session.flush()
        return _dataset(row, [])

    return until_written(database, f"the name {new.name!r}", write)


def find_dataset(database: Database, name: str) -> StoredDataset:
    """The data set that has this name, or had it.

    Raises:
        NotFound: if there is none.
    """
    with database.read() as session:
        return _found(session, name)


def list_datasets(
    database: Database, *, private: bool = False, limit: int, cursor: str | None = None
) -> Page[StoredDataset]:
    """Uploaded data sets, newest first. Private ones are left out, unless they are asked for.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    row = tables.Dataset
    query = select(row).order_by(row.id.desc()).limit(limit + 1)
    if not private:
        query = query.where(~row.private)
    if cursor is not None:
        query = query.where(row.id < decode(cursor, "data"))
    with database.read() as session:
        rows = session.scalars(query).all()
        former = _former(session, rows)
    return cut([_dataset(one, former[one.id]) for one in rows], limit)


def known_names(database: Database) -> list[KnownName]:
    """Every name of every data set, the oldest first."""
    row = tables.Dataset
    with database.read() as session:
        found = session.execute(
            select(DatasetName.name, row.digest, row.name, row.private)
            .join(row, row.id == DatasetName.dataset_id)
            .order_by(row.id, DatasetName.name)
        ).all()
    return [KnownName(*one) for one in found]


def change_dataset(database: Database, name: str, /, **values: Any) -> StoredDataset:
    """Change those of `name`, `description`, `licence` and `private` that are given.

    The runs on the data set are listed under its new name from then on. The former name goes on
    leading to it, so that specs that were posted with it can be posted again.

    Raises:
        NotFound: if there is no such data set.
        NameTaken: if another has the new name, or had it.
    """

    def write(session: Session) -> StoredDataset:
        row = _locked(session, name)
        renamed = values.get("name", row.name)
        if renamed != row.name:
            _rename(session, row, renamed)
        for field, value in values.items():
            setattr(row, field, value)
        session.flush()
        return _dataset(row, _former(session, [row])[row.id])

    return until_written(database, f"the data set {name!r}", write)


def delete_dataset(database: Database, name: str) -> str:
    """Forget a data set that no run uses.

    Its folder may be removed if `unnamed_digests` says so.

    Returns:
        The digest of what is stored.

    Raises:
        NotFound: if there is no such data set.
        DatasetInUse: if a run is trained on these images, or goes on from one that was.
    """
    with database.write() as session:
        row = _locked(session, name)
        digest = row.digest
        if runs := _runs_on(session, digest):
            raise DatasetInUse(name, runs, _experiments_of(session, runs))
        session.execute(delete(DatasetName).where(DatasetName.dataset_id == row.id))
        session.execute(delete(tables.Dataset).where(tables.Dataset.id == row.id))
    return digest


def unnamed_digests(database: Database, digests: Iterable[str]) -> set[str]:
    """Those of these digests that no data set has."""
    wanted = set(digests)
    column = tables.Dataset.digest
    with database.read() as session:
        for part in parts(wanted):
            wanted -= set(session.scalars(select(column).where(column.in_(part))))
    return wanted


def hold_datasets(session: Session, wanted: Iterable[tuple[str, str]]) -> None:
    """Keep data sets as they are until the transaction ends. `wanted` are (digest, name) pairs.

    Raises:
        DatasetChanged: if one of them was renamed or deleted.
    """
    pairs = set(wanted)
    row = tables.Dataset
    held = {
        (digest, name)
        for part in parts(digest for digest, _ in pairs)
        for digest, name in session.execute(
            select(row.digest, row.name)
            .where(row.digest.in_(part))
            .order_by(row.id)
            .with_for_update(read=True)
        )
    }
    if gone := sorted(pairs - held):
        raise DatasetChanged(gone[0][1])


def _check_free(session: Session, name: str, holder: str | None = None) -> None:
    row = tables.Dataset
    taken = session.execute(
        select(row.id, row.name)
        .join(DatasetName, row.id == DatasetName.dataset_id)
        .where(DatasetName.name == name)
    ).one_or_none()
    if taken is not None and taken.id != holder:
        raise NameTaken(name, taken.name)


def _rename(session: Session, row: tables.Dataset, name: str) -> None:
    _check_free(session, name, row.id)
    if session.get(DatasetName, name) is None:
        session.add(DatasetName(name=name, dataset_id=row.id))
        session.flush()
    stored = Run.spec["dataset"]["stored"].as_string()
    concerned = (Run.dataset == row.name, stored == row.digest)
    # Everybody locks runs in this order, so that nobody waits in a circle.
    session.execute(
        select(Run.id).where(*concerned).order_by(Run.id).with_for_update(key_share=True)
    )
    session.execute(
        update(Run)
        .where(*concerned)
        .values(dataset=name, spec=_called(session, name))
        .execution_options(synchronize_session=False)
    )


def _called(session: Session, name: str) -> Any:
    """A run's spec with another name for its data set, which is no part of any identity."""
    if session.get_bind().dialect.name == "postgresql":
        path = literal("{dataset,called}", Text())
        return func.jsonb_set(Run.spec, cast(path, ARRAY(Text)), func.to_jsonb(cast(name, Text)))
    return func.json_set(Run.spec, "$.dataset.called", name)


def _runs_on(session: Session, digest: str) -> list[str]:
    """The runs whose spec, or that of an origin of theirs, names these images, oldest first."""
    text = cast(Run.spec, Text)
    found = select(Run.id).where(text.contains(digest, autoescape=True)).order_by(Run.id)
    return list(session.scalars(found))


def _experiments_of(session: Session, run_ids: Iterable[str]) -> list[str]:
    link = ExperimentRun
    return sorted(
        {
            id
            for part in parts(run_ids)
            for id in session.scalars(
                select(link.experiment_id).where(link.run_id.in_(part)).distinct()
            )
        }
    )


def _found(session: Session, name: str) -> StoredDataset:
    row = session.scalar(_named(name))
    if row is None:
        raise NotFound("data set", name)
    return _dataset(row, _former(session, [row])[row.id])


def _locked(session: Session, name: str) -> tables.Dataset:
    row: tables.Dataset | None = session.scalar(_named(name).with_for_update(of=tables.Dataset))
    if row is None:
        raise NotFound("data set", name)
    return row


def _named(name: str) -> Any:
    row = tables.Dataset
    return (
        select(row)
        .join(DatasetName, DatasetName.dataset_id == row.id)
        .where(DatasetName.name == name)
    )


def _former(session: Session, rows: Iterable[tables.Dataset]) -> dict[str, list[str]]:
    """The former names of data sets, by id."""
    current = {row.id: row.name for row in rows}
    found: dict[str, list[str]] = defaultdict(list)
    for part in parts(current):
        for id, name in session.execute(
            select(DatasetName.dataset_id, DatasetName.name)
            .where(DatasetName.dataset_id.in_(part))
            .order_by(DatasetName.name)
        ):
            if name != current[id]:
                found[id].append(name)
    return found


def _dataset(row: tables.Dataset, former_names: list[str]) -> StoredDataset:
    values = {name: getattr(row, name) for name in NewDataset.__slots__}
    return StoredDataset(**values, id=row.id, created_at=row.created_at, former_names=former_names)
