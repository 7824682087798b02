from __future__ import annotations

from sqlalchemy import update

from store.database.connection import Database
from store.database.tables import Worker
from store.states import JobKind
from store.workers.presence import Presence, present, processes_on, say_killed, say_present
from tests.store.lab import EVALUATE, Lab


def said(name: str, pid: int = 1, *, host: str = "one", free: int = 5) -> Presence:
    return Presence(name, JobKind.TRAIN, host, pid, "cuda:0", "NVIDIA H100", 80, free)


def age(database: Database, name: str, seconds: float) -> None:
    with database.write() as session:
        session.execute(
            update(Worker).where(Worker.name == name).values(seen_at=Worker.seen_at - seconds)
        )


def test_a_worker_is_there_for_as_long_as_it_says_so(database: Database) -> None:
    say_present(database, said("a"), first=True)
    say_present(database, said("b", 2), first=True)
    assert [one.said for one in present(database)] == [said("a"), said("b", 2)]
    began = present(database)[0].started_at
    age(database, "b", 61)
    assert [one.said.name for one in present(database)] == ["a"]
    say_present(database, said("a", free=3))
    [seen] = present(database)
    assert seen.said == said("a", free=3)
    assert seen.started_at == began < seen.seen_at
    with database.read() as session:
        assert [row.name for row in session.query(Worker)] == ["a"]


def test_another_process_of_the_same_name_begins_anew(database: Database) -> None:
    say_present(database, said("a"), first=True)
    before = present(database)[0].started_at
    say_present(database, said("a"), first=True)
    assert present(database)[0].started_at > before


def test_processes_are_those_of_the_host(database: Database) -> None:
    say_present(database, said("a", 1))
    say_present(database, said("b", 2))
    say_present(database, said("c", 3, host="two"))
    age(database, "b", 61)
    assert processes_on(database, "one") == {1}


def test_those_that_were_killed_are_there_no_more(database: Database) -> None:
    say_present(database, said("a", 1))
    say_present(database, said("b", 2))
    say_present(database, said("c", 2, host="two"))
    say_killed(database, "one", [2, 3])
    assert {one.said.name for one in present(database)} == {"a", "c"}


def test_the_evaluation_of_a_file_is_a_job_too(lab: Lab) -> None:
    asked = lab.send()
    say_present(lab.database, said("busy"))
    lab.take(EVALUATE, worker="busy")
    [seen] = present(lab.database)
    [job] = seen.jobs
    assert (job.run_id, job.evaluation_id) == (None, asked.id)
