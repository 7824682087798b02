from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.database.rows import insert_rows
from store.database.tables import Counter
from store.database.url import sqlite_url
from store.jobs.events import POSITIONS


@pytest.fixture
def database(tmp_path: Path, sqlite_schema: Path) -> Database:
    (tmp_path / "h.db").write_bytes(sqlite_schema.read_bytes())
    return Database(sqlite_url(tmp_path / "h.db"))


def writes(name: str, value: int = 0) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        insert_rows(session, Counter, [{"name": name, "value": value}])
        return name

    return work


def at_once(database: Database, *works: Callable[[Session], Any]) -> list[Any]:
    """What each of these works returns or raises, when all wait for their turn to write."""
    found: list[Any] = [None] * len(works)

    def do(place: int) -> None:
        try:
            found[place] = database.write_together(works[place])
        except BaseException as error:
            found[place] = error

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(works))]
    waiting = database._together._waiting  # type: ignore[union-attr]
    with database._turn:
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(waiting) < number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    return found


def names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Counter.name).where(Counter.name != POSITIONS)))


def test_work_that_waits_is_committed_at_once(database: Database) -> None:
    commits: list[object] = []
    event.listen(database._engine, "commit", commits.append)
    assert at_once(database, writes("a"), writes("b"), writes("c")) == ["a", "b", "c"]
    assert names(database) == {"a", "b", "c"}
    # The second is that of the reading.
    assert len(commits) == 2


def test_a_fault_in_one_work_harms_no_other(database: Database) -> None:
    def fails(session: Session) -> None:
        writes("half")(session)
        raise ValueError("no")

    first, second, twice, last = at_once(database, writes("a"), fails, writes("a", 1), writes("b"))
    assert (first, last) == ("a", "b")
    assert isinstance(second, ValueError)
    assert isinstance(twice, IntegrityError)
    assert names(database) == {"a", "b"}


def test_work_that_undoes_the_whole_transaction_harms_no_other(database: Database) -> None:
    def undoes(session: Session) -> None:
        # As SQLite does by itself when the disk is full.
        session.execute(text("INSERT OR ROLLBACK INTO counters VALUES ('a', 1)"))

    called: list[str] = []

    def before(session: Session) -> str:
        called.append("a")
        return writes("a")(session)

    first, second, last = at_once(database, before, undoes, writes("b"))
    assert (first, last) == ("a", "b")
    assert isinstance(second, IntegrityError)
    assert names(database) == {"a", "b"}
    assert called == ["a", "a"]


def test_nobody_is_told_of_work_that_could_not_be_committed(database: Database) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("the disk is gone")

    event.listen(database._engine, "commit", refuse)
    found = at_once(database, writes("a"), writes("b"))
    event.remove(database._engine, "commit", refuse)
    assert [str(one) for one in found] == ["the disk is gone"] * 2
    assert names(database) == set()
    assert database.write_together(writes("a")) == "a"


def test_a_process_killed_between_two_works_leaves_none_of_either(
    database: Database, tmp_path: Path
) -> None:
    def dies(session: Session) -> None:
        writes("b")(session)
        os._exit(7)

    child = os.fork()
    if not child:
        at_once(Database(sqlite_url(tmp_path / "h.db")), writes("a"), dies)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert names(database) == set()
    assert database.write_together(writes("a")) == "a"


def test_on_each_database_work_gives_what_it_returns(database_url: str) -> None:
    database = Database(database_url)
    assert database.write_together(writes("a")) == "a"
    with pytest.raises(IntegrityError):
        database.write_together(writes("a"))
    assert names(database) == {"a"}
    database.dispose()
