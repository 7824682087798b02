"""Uploaded data sets in the database: names, what holds them, and who is first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from store.database.connection import Database
from store.datasets import (
    NewDataset,
    add_dataset,
    change_dataset,
    delete_dataset,
    find_dataset,
    hold_datasets,
    known_names,
    list_datasets,
)
from store.errors import DatasetChanged, DatasetInUse, NameTaken, NotFound
from store.queries import RunFilters, experiment_runs, runs
from store.retention.delete import delete_experiment
from tests.store.lab import Lab, new_run

DIGEST = "ab" * 32


def a_dataset(name: str = "faces", digest: str = DIGEST, **others: Any) -> NewDataset:
    values: dict[str, Any] = {
        "name": name,
        "digest": digest,
        "description": "",
        "licence": "CC0",
        "private": False,
        "source": "faces.zip",
        "about": {"images": 12, "shape": [8, 8, 1]},
        "bytes": 768,
    }
    return NewDataset(**values | others)


def run_on(train_id: str, name: str = "faces", digest: str = DIGEST, **others: Any) -> Any:
    dataset = {"name": "image_table", "stored": digest, "called": name, "resize": 8}
    return new_run(
        train_id,
        spec={"dataset": dataset, "seed": 0, "objective": {"beta": 1e-4}},
        dataset=name,
        uploaded=frozenset({(digest, name)}),
        **others,
    )


def test_a_data_set_is_found_by_its_name_as_it_was_added(database: Database) -> None:
    added = add_dataset(database, a_dataset())
    assert find_dataset(database, "faces") == added
    assert (added.about, added.licence) == ({"images": 12, "shape": [8, 8, 1]}, "CC0")
    with pytest.raises(NotFound, match="no data set 'Faces'"):
        find_dataset(database, "Faces")


def test_lists_are_paged_and_leave_private_ones_out(database: Database) -> None:
    for name, private in (("a", False), ("b", True), ("c", False), ("d", False)):
        add_dataset(database, a_dataset(name, private=private))
    first = list_datasets(database, limit=2)
    second = list_datasets(database, limit=2, cursor=first.next_cursor)
    assert [one.name for one in (*first.items, *second.items)] == ["d", "c", "a"]
    assert second.next_cursor is None
    assert [one.name for one in list_datasets(database, private=True, limit=9).items] == [*"dcba"]


def test_one_of_several_who_add_a_name_at_once_gets_it(database: Database) -> None:
    ended: list[str] = []

    def add(number: int) -> None:
        try:
            ended.append(add_dataset(database, a_dataset(digest=f"{number:064x}")).digest)
        except NameTaken as error:
            ended.append(error.holder)

    _at_once([lambda number=number: add(number) for number in range(6)])
    [winner] = [one for one in ended if one != "faces"]
    assert ended.count("faces") == 5
    assert find_dataset(database, "faces").digest == winner


def test_a_renamed_data_set_takes_its_runs_along_and_is_found_by_its_former_name(
    lab: Lab,
) -> None:
    add_dataset(lab.database, a_dataset())
    lab.post(runs=[run_on("one"), run_on("two", "faces", DIGEST), new_run("other")])
    changed = change_dataset(lab.database, "faces", name="portraits", licence="MIT")
    assert (changed.name, changed.licence, changed.former_names) == ("portraits", "MIT", ["faces"])
    assert find_dataset(lab.database, "faces") == changed
    found = runs(lab.database, RunFilters(dataset="portraits"), limit=9).items
    assert {run.train_id for run in found} == {"one", "two"}
    for run in found:
        assert run.spec == {
            "dataset": {
                "name": "image_table",
                "stored": DIGEST,
                "called": "portraits",
                "resize": 8,
            },
            "seed": 0,
            "objective": {"beta": 1e-4},
        }
    assert [(one.name, one.current) for one in known_names(lab.database)] == [
        ("faces", "portraits"),
        ("portraits", "portraits"),
    ]


def test_a_former_name_is_taken_but_its_own_data_set_may_have_it_back(database: Database) -> None:
    add_dataset(database, a_dataset())
    add_dataset(database, a_dataset("cars", "cd" * 32))
    change_dataset(database, "faces", name="portraits")
    for name in ("faces", "portraits"):
        with pytest.raises(NameTaken):
            change_dataset(database, "cars", name=name)
        with pytest.raises(NameTaken):
            add_dataset(database, a_dataset(name, "ef" * 32))
    assert change_dataset(database, "portraits", name="faces").former_names == ["portraits"]


def test_a_data_set_is_deleted_once_no_run_uses_it(lab: Lab) -> None:
    add_dataset(lab.database, a_dataset())
    experiment = lab.post(runs=[run_on("one")])
    [run] = experiment_runs(lab.database, experiment)
    with pytest.raises(DatasetInUse) as refused:
        delete_dataset(lab.database, "faces")
    assert (refused.value.runs, refused.value.experiments) == ([run.run_id], [experiment])
    lab.train()
    lab.evaluate()
    delete_experiment(lab.database, experiment)
    assert delete_dataset(lab.database, "faces") == DIGEST
    with pytest.raises(NotFound):
        find_dataset(lab.database, "faces")
    add_dataset(lab.database, a_dataset())


def test_a_run_that_goes_on_from_one_on_the_data_set_holds_it(lab: Lab) -> None:
    add_dataset(lab.database, a_dataset())
    spec = {"dataset": {"name": "digits"}, "origin": {"dataset": {"stored": DIGEST}}}
    lab.post(runs=[new_run("one", spec=spec)])
    with pytest.raises(DatasetInUse):
        delete_dataset(lab.database, "faces")


@pytest.mark.parametrize("change", ["rename", "delete"])
def test_work_on_a_data_set_that_has_just_changed_is_not_written(lab: Lab, change: str) -> None:
    add_dataset(lab.database, a_dataset())
    planned = run_on("one")
    if change == "rename":
        change_dataset(lab.database, "faces", name="portraits")
    else:
        delete_dataset(lab.database, "faces")
    with pytest.raises(DatasetChanged, match="'faces'"):
        lab.post(runs=[planned])
    with lab.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM experiments")) == 0


def test_whoever_deletes_waits_for_those_who_are_about_to_use_it(lab: Lab) -> None:
    add_dataset(lab.database, a_dataset())
    ended: list[str] = []

    def remove() -> None:
        try:
            delete_dataset(lab.database, "faces")
            ended.append("deleted")
        except DatasetInUse:
            ended.append("in use")

    deleting = threading.Thread(target=remove)
    with lab.database.write() as session:
        hold_datasets(session, [(DIGEST, "faces")])
        deleting.start()
        # It would be done by then if nothing held it up.
        deleting.join(0.5)
        session.execute(
            text(
                "INSERT INTO runs (id, train_id, current, state, spec, dataset, objective, seed,"
                " steps, created_at) VALUES ('run_1', 'one', true, 'queued', :spec, 'faces',"
                " 'vae', 0, 1, 0)"
            ),
            {"spec": f'{{"dataset": {{"stored": "{DIGEST}"}}}}'},
        )
    deleting.join()
    assert ended == ["in use"]


def _at_once(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
