from __future__ import annotations

import os

import pytest

from store.delete import delete_experiment
from store.folders import MARK
from tests.worker.workplace import Workplace, on_sqlite, spec
from worker import collecting
from worker.collecting import collect_soon
from worker.evaluation import evaluate_next
from worker.training import train_next


@on_sqlite
def test_all_that_a_run_left_goes_when_its_experiment_is_deleted(
    workplace: Workplace, no_pictures: None
) -> None:
    run_id = workplace.post(spec(steps=2))
    train_next()
    evaluate_next()
    objects = workplace.stores.objects.root
    for path in objects.rglob("*"):
        os.utime(path, (0, 0))
    collect_soon().join()
    assert len([path for path in objects.rglob("*") if path.is_file() and path.name != MARK]) == 3
    [experiment_id] = workplace.run(run_id).experiments
    delete_experiment(workplace.stores.database, experiment_id)
    collect_soon().join()
    assert [path for path in objects.rglob("*") if path.is_file() and path.name != MARK] == []


@on_sqlite
def test_a_trouble_of_a_collection_is_not_the_workers(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "collect", _broken)
    collect_soon().join()
    # And the next one is let in.
    assert collecting._alone.acquire(blocking=False)
    collecting._alone.release()


def _broken(*_: object, **__: object) -> None:
    raise OSError("Stale file handle")
