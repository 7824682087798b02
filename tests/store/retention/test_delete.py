"""What deleting removes, and what holds against it."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from store.database.tables import Base
from store.errors import NotFound, Pinned, WrongState
from store.experiments.cancel import cancel_experiment
from store.jobs.checkpoints import record_checkpoint
from store.jobs.finish import NewArtifact, acknowledge_cancel, finish_training
from store.jobs.heartbeat import beat
from store.queries import evaluation, experiment, run, usage
from store.queries.usage import Usage
from store.retention.delete import delete_evaluation, delete_experiment, pin_experiment, pin_run
from tests.store.lab import EVALUATE, Lab, scans


def rows(lab: Lab) -> dict[str, int]:
    """How many rows there are in each table that has any.

    What owners were served, and how many events there were, is no experiment's.
    """
    with lab.database.read() as session:
        counts = {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
            if table.name not in ("served", "counters")
        }
    return {name: count for name, count in counts.items() if count}


def finished(lab: Lab, *train_ids: str) -> str:
    """An experiment that has succeeded."""
    experiment_id = lab.post(*train_ids)
    lab.train()
    lab.evaluate()
    return experiment_id


def test_a_deleted_experiment_leaves_no_row(lab: Lab) -> None:
    experiment_id = lab.post("a", "b")
    for number, taken in enumerate(lab.take_all("train")):
        points = {"loss": [(1, 0.5)]}
        beat(lab.database, taken, lease_seconds=30, points=points)
        file = NewArtifact("weights.safetensors", f"{number:064}", "x", 3)
        finish_training(lab.database, taken, record={}, artifacts=[file])
    lab.evaluate()
    assert set(rows(lab)) >= {"runs", "jobs", "scores", "artifacts", "scalars", "events"}
    delete_experiment(lab.database, experiment_id)
    assert rows(lab) == {}
    with pytest.raises(NotFound):
        delete_experiment(lab.database, experiment_id)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_table_is_scanned_for_each_deleted_run(lab: Lab) -> None:
    id = lab.post(*(f"run {number}" for number in range(200)))
    cancel_experiment(lab.database, id)
    before = scans(lab)
    delete_experiment(lab.database, id)
    assert scans(lab) - before < 100


def test_a_run_that_another_experiment_holds_stays(lab: Lab) -> None:
    first = finished(lab, "a", "b")
    second = lab.post("b")
    shared = lab.run_of(second)
    delete_experiment(lab.database, first)
    assert lab.states(second) == ["succeeded"]
    assert run(lab.database, shared).experiments == [second]
    assert rows(lab)["runs"] == 1
    delete_experiment(lab.database, second)
    assert rows(lab) == {}


def test_a_pinned_run_stays_without_experiments(lab: Lab) -> None:
    experiment_id = finished(lab, "a", "b")
    kept, _ = (link.run_id for link in lab.links(experiment_id))
    pin_run(lab.database, kept, pinned=True)
    delete_experiment(lab.database, experiment_id)
    assert run(lab.database, kept).experiments == [] and rows(lab)["runs"] == 1
    # It is there to be joined.
    assert [link.run_id for link in lab.links(lab.post("a"))] == [kept]


def test_a_run_stays_for_an_evaluation_that_is_asked_for_by_itself(lab: Lab) -> None:
    experiment_id = finished(lab, "a")
    run_id = lab.run_of(experiment_id)
    asked = lab.evaluate_again(run_id, "dci")
    with pytest.raises(WrongState, match="queued"):
        delete_evaluation(lab.database, asked.id)
    lab.evaluate()
    delete_experiment(lab.database, experiment_id)
    assert run(lab.database, run_id).experiments == []
    delete_evaluation(lab.database, asked.id)
    assert rows(lab) == {}


def test_an_evaluation_that_an_experiment_holds_too_stays(lab: Lab) -> None:
    experiment_id = finished(lab, "a")
    asked = lab.evaluate_again(lab.run_of(experiment_id), "mig")
    delete_evaluation(lab.database, asked.id)
    assert evaluation(lab.database, asked.id).state == "succeeded"
    assert lab.states(experiment_id) == ["succeeded"]


def test_the_evaluation_of_a_file_is_deleted_once_it_has_ended(lab: Lab) -> None:
    asked = lab.send()
    with pytest.raises(WrongState, match="queued"):
        delete_evaluation(lab.database, asked.id)
    lab.evaluate()
    delete_evaluation(lab.database, asked.id)
    assert rows(lab) == {}
    with pytest.raises(NotFound):
        delete_evaluation(lab.database, asked.id)
    assert not lab.send().reused


def test_what_goes_on_or_is_pinned_is_not_deleted(lab: Lab) -> None:
    experiment_id = lab.post("a")
    for _ in ("queued", "running"):
        with pytest.raises(WrongState, match="succeeded or failed or cancelled"):
            delete_experiment(lab.database, experiment_id)
        lab.train()
    lab.evaluate()
    pin_experiment(lab.database, experiment_id, pinned=True)
    before = rows(lab)
    with pytest.raises(Pinned, match="unpin it"):
        delete_experiment(lab.database, experiment_id)
    assert rows(lab) == before and experiment(lab.database, experiment_id).pinned
    pin_experiment(lab.database, experiment_id, pinned=False)
    delete_experiment(lab.database, experiment_id)
    with pytest.raises(NotFound):
        pin_experiment(lab.database, experiment_id, pinned=True)
    with pytest.raises(NotFound):
        pin_run(lab.database, "run_x", pinned=True)


def test_a_run_that_has_yet_to_stop_outlives_its_experiment(lab: Lab) -> None:
    experiment_id = lab.post("a")
    taken = lab.take()
    cancel_experiment(lab.database, experiment_id)
    delete_experiment(lab.database, experiment_id)
    # Its worker is told, and ends it.
    assert beat(lab.database, taken, lease_seconds=30).cancel_requested
    acknowledge_cancel(lab.database, taken)
    assert lab.state(taken.trains) == "cancelled"


def test_an_experiment_posted_for_a_run_that_has_gone_trains_it_anew(lab: Lab) -> None:
    first = finished(lab, "a")
    gone = lab.run_of(first)
    delete_experiment(lab.database, first)
    second = lab.post("a")
    assert lab.run_of(second) != gone and lab.states(second) == ["queued"]


def test_usage_counts_a_file_once_and_checkpoints(lab: Lab) -> None:
    first, second = lab.post("a", "b", "a"), lab.post("b")
    claims = lab.take_all("train")
    for taken in claims:
        record_checkpoint(
            lab.database,
            taken,
            step=1,
            path=taken.trains,
            sha256="s",
            size=7,
            width=1,
            device_model="cpu",
        )
    assert usage(lab.database, [first, second]) == {first: Usage(0, 14), second: Usage(0, 7)}
    for number, taken in enumerate(claims):
        files = [NewArtifact("own", f"{number:064}", "x", 100), NewArtifact("both", "f", "x", 10)]
        finish_training(lab.database, taken, record={}, artifacts=files)
    assert usage(lab.database, [first, second]) == {first: Usage(210, 0), second: Usage(110, 0)}
    assert lab.take_all(EVALUATE)
