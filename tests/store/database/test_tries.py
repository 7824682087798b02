from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.database import tables, tries
from store.database.connection import Database
from store.database.tries import Outrun, until_written
from store.errors import Contended
from tests.store.lab import Lab


class Fault(Exception):
    sqlstate = "40P01"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_FIRST_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize(
    "fault", [Outrun(), OperationalError("UPDATE", {}, Fault("deadlock detected"))]
)
def test_who_is_outrun_tries_again_and_leaves_no_mark_of_it(
    database: Database, fault: Exception
) -> None:
    tried: list[int] = []

    def write(session: Session) -> str:
        tried.append(1)
        session.execute(insert(tables.Folder).values(kind="objects", mark=str(len(tried))))
        if len(tried) < 3:
            raise fault
        return "written"

    assert until_written(database, "it", write) == "written"
    with database.read() as session:
        assert session.scalars(select(tables.Folder.mark)).all() == ["3"]


def test_who_is_outrun_again_and_again_is_told_so(database: Database) -> None:
    tried: list[int] = []

    def write(session: Session) -> None:
        tried.append(1)
        raise Outrun

    with pytest.raises(Contended, match="ask for the same runs"):
        until_written(database, "the same runs", write)
    assert len(tried) == tries.TRIES


def test_other_troubles_of_the_database_are_not_tried_again(database: Database) -> None:
    tried: list[int] = []

    def write(session: Session) -> None:
        tried.append(1)
        raise OperationalError("UPDATE", {}, Exception("gone"))

    with pytest.raises(OperationalError):
        until_written(database, "it", write)
    assert len(tried) == 1


def test_pauses_grow_and_are_drawn(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr(tries, "_FIRST_PAUSE_SECONDS", 0.02)
    asked: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda _, longest: asked.append(longest) or 0.0)

    def write(session: Session) -> None:
        raise Outrun

    with pytest.raises(Contended):
        until_written(database, "it", write)
    assert asked[:4] == [0.04, 0.08, 0.16, 0.32] and max(asked) == 0.5


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_twelve_who_force_the_same_runs_at_once_all_have_them(database: Database) -> None:
    lab, came = Lab(database), Counter[str]()
    together = threading.Barrier(12)

    def post() -> None:
        together.wait()
        for _ in range(4):
            try:
                lab.post(*(f"run {number}" for number in range(6)), force=True)
                came["posted"] += 1
            except Exception as error:
                came[repr(error)] += 1

    threads = [threading.Thread(target=post) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came == {"posted": 48}
    with database.read() as session:
        run = tables.Run
        assert session.scalar(select(func.count()).select_from(run).where(run.current)) == 6
        assert session.scalar(select(func.count()).select_from(run)) == 6 * 48
