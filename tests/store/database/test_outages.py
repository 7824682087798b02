"""A database that cannot do what it is asked: real refusals, and what is made of them."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import OperationalError

from store.database import connection as store_database
from store.database.connection import Database
from store.database.outages import DATABASE_OUTAGE, outage_reason
from store.database.tables import Folder


def mark(database: Database) -> None:
    with database.write() as session:
        session.execute(insert(Folder).values(kind="objects", mark="x" * 100_000))


@pytest.mark.parametrize(
    ("pragma", "why"),
    [("max_page_count = 1", "no room left"), ("query_only = ON", "not written")],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_that_is_full_or_read_only_is_away_and_can_be_read(
    pragma: str, why: str, database: Database
) -> None:
    @event.listens_for(database._engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    with pytest.raises(DATABASE_OUTAGE) as outage:
        mark(database)
    assert why in outage_reason(outage.value)
    with database.read() as session:
        assert session.query(Folder).all() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_that_another_program_has_locked_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_database, "_BUSY_MILLISECONDS", 50)
    database = Database(database_url)
    path = Path(database_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DATABASE_OUTAGE) as outage:
            mark(database)
    assert "is locked" in outage_reason(outage.value)
    mark(database)
    database.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_that_takes_no_writes_is_away(database: Database) -> None:
    with pytest.raises(DATABASE_OUTAGE) as outage, database.write() as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        session.execute(insert(Folder).values(kind="objects", mark="x"))
    assert "not written" in outage_reason(outage.value)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_falls_silent_in_a_transaction_holds_nobody_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, other = Database(database_url), Database(database_url)
    mark(silent)
    monkeypatch.setattr(store_database, "_IDLE_MILLISECONDS", 200)
    with pytest.raises(DATABASE_OUTAGE), silent.write() as session:
        session.execute(update(Folder).values(mark="silent"))
        monkeypatch.setattr(store_database, "_IDLE_MILLISECONDS", 60_000)
        with other.write() as at_once:
            # It waits for the row until the silent one is ended.
            at_once.execute(update(Folder).values(mark="other"))
        session.execute(update(Folder).values(mark="silent"))
    with other.read() as session:
        assert session.scalar(select(Folder.mark)) == "other"
    silent.dispose()
    other.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_only_reads_may_be_slow(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_database, "_IDLE_MILLISECONDS", 200)
    mark(database)
    with database.read() as session:
        first = session.scalar(select(Folder.mark))
        time.sleep(0.4)
        # The connection is one that a writer has had.
        assert session.scalar(select(Folder.mark)) == first


def test_a_full_disk_of_postgresql_is_told_by_its_code() -> None:
    error = psycopg.errors.DiskFull("could not extend file: kein Platz")
    assert isinstance(error, psycopg.OperationalError)
    assert "no room left" in outage_reason(OperationalError("INSERT", {}, error))


def test_what_is_not_known_cannot_be_reached() -> None:
    assert outage_reason(OperationalError("SELECT", {}, Exception("gone"))) == "cannot be reached"
