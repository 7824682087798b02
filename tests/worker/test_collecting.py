from __future__ import annotations

import os
import threading

import pytest

from store.files.folders import MARK
from store.retention.delete import delete_experiment
from tests.worker.workplace import Workplace, on_sqlite, spec
from worker import collecting
from worker.evaluation import evaluate_next
from worker.reaping import reap_now
from worker.training import train_next


@pytest.fixture(autouse=True)
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_next", 0.0)
    monkeypatch.setattr(collecting, "_collecting", None)


def collect(workplace: Workplace) -> None:
    """Reap, and wait for the collection that goes with it."""
    reap_now()
    assert collecting._collecting is not None
    collecting._collecting.join()


@on_sqlite
def test_all_that_a_run_left_goes_when_its_experiment_is_deleted(
    workplace: Workplace, no_pictures: None
) -> None:
    workplace.configure(collect_seconds=0.001)
    run_id = workplace.post(spec(steps=2))
    train_next()
    evaluate_next()
    objects = workplace.stores.objects.root

    def files() -> list[str]:
        found = (path for path in objects.rglob("*") if path.is_file() and path.name != MARK)
        return [path.name for path in found]

    for path in objects.rglob("*"):
        os.utime(path, (0, 0))
    collect(workplace)
    assert len(files()) == 3
    [experiment_id] = workplace.run(run_id).experiments
    delete_experiment(workplace.stores.database, experiment_id)
    collect(workplace)
    assert files() == []


@on_sqlite
def test_the_reaper_neither_waits_for_a_collection_nor_starts_a_second(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.configure(collect_seconds=0.001)
    going_on = threading.Event()
    started: list[object] = []

    def endless(*_: object, **__: object) -> None:
        started.append(None)
        going_on.wait(30)
        # Nor is its trouble theirs.
        raise OSError("Stale file handle")

    monkeypatch.setattr(collecting, "collect", endless)
    for _ in range(3):
        reap_now()
    assert len(started) == 1
    going_on.set()
    collect(workplace)
    collect(workplace)
    assert len(started) >= 2


@on_sqlite
def test_a_collection_is_due_after_its_time(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(collecting, "collect", lambda *_, **__: started.append(None))
    collect(workplace)
    for _ in range(3):
        reap_now()
    assert started == [None]
