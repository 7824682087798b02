from __future__ import annotations

import threading

import pytest

from store.errors import NotFound
from store.jobs.events import emit
from store.jobs.finish import finish_training
from store.queries import events, experiment
from tests.store.lab import TRAIN, Lab


def test_numbers_are_gapless_under_concurrent_writers(lab: Lab) -> None:
    names = [f"run {number}" for number in range(12)]
    # Two experiments that share runs, so that every change is told to both.
    ids = [lab.post(*names), lab.post(*reversed(names))]
    claims = lab.take_all(TRAIN)
    errors: list[BaseException] = []
    seen: list[list[int]] = []
    done = threading.Event()

    def write(number: int) -> None:
        try:
            for taken in claims[number::4]:
                finish_training(lab.database, taken, record={})
        except BaseException as error:
            errors.append(error)

    def watch() -> None:
        while not done.is_set():
            seen.append([event.number for event in events(lab.database, ids[0])])

    watcher = threading.Thread(target=watch)
    watcher.start()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    assert errors == []
    for id in ids:
        found = events(lab.database, id)
        assert [event.number for event in found] == list(range(1, 25))
        assert experiment(lab.database, id).events == 24
        told = [event.data["run_id"] for event in found if event.type == "run.evaluating"]
        assert sorted(told) == sorted(taken.run_id for taken in claims)
    # Whoever looked meanwhile never saw a number before the ones below it.
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen)


def test_events_are_read_on_from_a_number(lab: Lab) -> None:
    id = lab.post("a")
    with lab.database.write() as session:
        emit(session, [id, id], "note", {"text": "one"})
    with lab.database.write() as session:
        emit(session, [id], "note", {"text": "two"})
    [second] = events(lab.database, id, after=1)
    assert (second.number, second.type, second.data) == (2, "note", {"text": "two"})
    assert [event.number for event in events(lab.database, id, limit=1)] == [1]
    with pytest.raises(NotFound, match="experiment 'x'"):
        events(lab.database, "x")
