"""Runs go on from where others have ended, and share the files of these."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import store.experiments.submit
from store.errors import NotFound, OriginNotKept, StateNotKept, WrongState
from store.experiments.cancel import cancel_run
from store.experiments.dry_run import dry_run
from store.experiments.origins import kept_states
from store.files.artifact_names import CURVES
from store.files.checkpoint_folder import Checkpoint, CheckpointFolder
from store.files.objects import ObjectFolder
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.jobs.claim import Claim
from store.jobs.finish import NewArtifact, acknowledge_cancel, finish_training
from store.queries import artifacts, run, usage
from store.retention.collect import collect
from store.retention.delete import delete_experiment
from tests.store.lab import Lab, new_run

HOUR = 3600.0


class Place:
    """A lab with its folders."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab = lab
        self.objects = ObjectFolder(root / "objects")
        self.checkpoints = CheckpointFolder(root / "checkpoints")

    def post(self, train_id: str, steps: int, course: str | None = "c", **options: Any) -> str:
        runs = [new_run(train_id, steps=steps, course_id=course, origin_id=options.pop("of", None))]
        return self.lab.post(runs=runs, **options)

    def save(self, claim: Claim, step: int) -> None:
        path, sha256, size = self.checkpoints.write(claim.run_id, claim.fence, step, b"a state")
        removable = record_checkpoint(
            self.lab.database,
            claim,
            step=step,
            path=path,
            sha256=sha256,
            size=size,
            width=2,
            device_model="cpu",
        )
        self.checkpoints.remove(removable)

    def train(self, *, keep_state: bool = True) -> str:
        """Train the next run, which leaves curves and a checkpoint at its end."""
        claim = self.lab.take()
        steps = run(self.lab.database, claim.run_id).steps
        for step in (steps - 1, steps):
            self.save(claim, step)
        sha256, size = self.objects.put(b"curves of %d steps" % steps)
        files = [NewArtifact(CURVES, sha256, "application/json", size)]
        keep = finish_training(
            self.lab.database, claim, record={}, artifacts=files, keep_state=keep_state
        )
        self.checkpoints.clear(claim.run_id, keep)
        return claim.run_id

    def trained(self, train_id: str, steps: int, course: str | None = "c", **options: Any) -> str:
        keep_state = options.pop("keep_state", True)
        self.post(train_id, steps, course, **options)
        return self.train(keep_state=keep_state)

    def begins_at(self, experiment_id: str) -> tuple[str, int] | None:
        """Where an experiment's only run has begun: the run and the step."""
        run_id = self.lab.run_of(experiment_id)
        origin = run(self.lab.database, run_id).origin
        own = checkpoints(self.lab.database, run_id)
        if origin is None:
            assert own == []
            return None
        assert [(one.fence, one.step) for one in own] == [(0, origin["step"])]
        assert self.checkpoints.read_whole(own[0]) == b"a state"
        return origin["run"], origin["step"]

    def collect(self) -> None:
        """Collect when all files there are have become old."""
        for folder in (self.objects.root, self.checkpoints.root):
            for path in folder.rglob("*"):
                past = path.stat().st_mtime - HOUR
                os.utime(path, (past, past))
        collect(self.lab.database, self.objects, self.checkpoints, grace_seconds=HOUR / 2)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.checkpoints.root.rglob("*.safetensors"))

    def end_of(self, run_id: str) -> Checkpoint:
        [end] = checkpoints(self.lab.database, run_id)
        return end


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Place:
    return Place(lab, tmp_path)


def test_a_trained_run_keeps_the_state_of_its_end(place: Place) -> None:
    run_id = place.trained("a", 1000)
    assert (place.end_of(run_id).step, place.files()) == (1000, ["1-1000.safetensors"])
    assert kept_states(place.lab.database, [run_id])[run_id].step == 1000


def test_a_longer_run_begins_where_the_longest_shorter_one_on_its_course_has_ended(
    place: Place,
) -> None:
    place.trained("a", 1000)
    longer = place.trained("b", 2000)
    place.trained("d", 2500, course="of another")
    assert place.begins_at(place.post("e", 3000)) == (longer, 2000)
    assert place.begins_at(place.post("f", 1500)) is not None
    assert place.begins_at(place.post("g", 900)) is None
    assert place.begins_at(place.post("h", 9000, course=None)) is None


def test_curves_go_on_from_where_they_ended(place: Place) -> None:
    run_id = place.trained("a", 1000)
    longer = place.lab.run_of(place.post("b", 2000))
    [curves] = artifacts(place.lab.database, longer)
    assert place.objects.path(curves.sha256).read_bytes() == b"curves of 1000 steps"
    assert place.train() == longer
    [curves] = artifacts(place.lab.database, longer)
    assert place.objects.path(curves.sha256).read_bytes() == b"curves of 2000 steps"
    [curves] = artifacts(place.lab.database, run_id)
    assert place.objects.path(curves.sha256).read_bytes() == b"curves of 1000 steps"


def test_a_run_under_way_is_not_begun_from(place: Place) -> None:
    place.post("a", 1000)
    claim = place.lab.take()
    place.save(claim, 1000)
    assert place.begins_at(place.post("b", 2000)) is None
    with pytest.raises(WrongState, match=claim.run_id):
        kept_states(place.lab.database, [claim.run_id])


def test_with_force_a_course_is_begun_anew_and_an_origin_is_not(place: Place) -> None:
    run_id = place.trained("a", 1000)
    assert place.begins_at(place.post("b", 2000, force=True)) is None
    fork = place.post("f", 2000, course=None, of="a", force=True)
    assert place.begins_at(fork) == (run_id, 1000)


def test_a_fork_begins_at_its_origin(place: Place) -> None:
    run_id = place.trained("a", 1000)
    first = place.post("f", 2000, course="fork", of="a")
    assert place.begins_at(first) == (run_id, 1000)
    fork = place.train()
    # And an extension of it on its own course.
    assert place.begins_at(place.post("g", 3000, course="fork", of="a")) == (fork, 2000)


def test_a_fork_of_what_is_not_there_is_refused_and_nothing_is_written(place: Place) -> None:
    before = place.lab.fresh()
    with pytest.raises(OriginNotKept, match="train_id nobody"):
        place.post("f", 2000, of="nobody", name=f"refused {before}")
    with pytest.raises(OriginNotKept):
        dry_run(place.lab.database, [new_run("f", steps=2000, origin_id="nobody")])
    assert place.lab.take_all(store.experiments.submit.JobKind.TRAIN) == []


def test_whoever_keeps_no_states_is_told(place: Place) -> None:
    run_id = place.trained("a", 1000, keep_state=False)
    assert place.files() == []
    with pytest.raises(StateNotKept, match=run_id):
        kept_states(place.lab.database, [run_id])
    assert place.begins_at(place.post("b", 2000)) is None
    with pytest.raises(NotFound):
        kept_states(place.lab.database, ["run_01m822kecrheprs28fdpac8mzh"])


def test_a_state_outlives_its_run_for_as_long_as_one_needs_it(place: Place) -> None:
    origin = place.post("a", 1000)
    run_id = place.train()
    place.lab.evaluate()
    longer = place.post("b", 2000)
    delete_experiment(place.lab.database, origin)
    place.collect()
    assert place.files() == ["1-1000.safetensors"]
    assert place.begins_at(longer) == (run_id, 1000)

    # Its first checkpoint of its own, then a second: the shared one counts no more.
    claim = place.lab.take()
    place.save(claim, 1200)
    place.save(claim, 1300)
    place.collect()
    assert place.files() == ["1-1200.safetensors", "1-1300.safetensors"]


def test_a_state_that_another_needs_is_not_removed_by_whoever_is_past_it(place: Place) -> None:
    run_id = place.trained("a", 1000)
    longest = place.post("c", 3000)
    longer = place.trained("b", 2000, priority=1)
    assert place.begins_at(longest) == (run_id, 1000)
    assert place.files() == ["1-1000.safetensors", "1-2000.safetensors"]
    assert place.end_of(longer).step == 2000
    # And it counts for the run whose end it is.
    assert place.end_of(run_id).path == f"{run_id}/1-1000.safetensors"


def test_a_run_that_was_cancelled_goes_on_from_a_state_further_on(place: Place) -> None:
    longer = place.lab.run_of(place.post("b", 3000))
    claim = place.lab.take()
    place.save(claim, 500)
    cancel_run(place.lab.database, longer)
    acknowledge_cancel(place.lab.database, claim)
    first = place.trained("a", 1000)
    new = new_run("b", steps=3000, course_id="c")
    assert dry_run(place.lab.database, [new]).steps == 2000
    assert place.lab.run_of(place.post("b", 3000)) == longer
    [own] = checkpoints(place.lab.database, longer)
    assert (own.step, own.path) == (1000, place.end_of(first).path)
    assert run(place.lab.database, longer).origin == {"run": first, "step": 1000}
    # What it saves from here on counts before.
    claim = place.lab.take()
    place.save(claim, 1200)
    assert checkpoints(place.lab.database, longer)[0].step == 1200


def test_a_run_that_was_cancelled_further_on_keeps_its_own(place: Place) -> None:
    longer = place.lab.run_of(place.post("b", 3000))
    claim = place.lab.take()
    place.save(claim, 1500)
    cancel_run(place.lab.database, longer)
    acknowledge_cancel(place.lab.database, claim)
    place.trained("a", 1000)
    assert dry_run(place.lab.database, [new_run("b", steps=3000, course_id="c")]).steps == 1500
    place.post("b", 3000)
    assert [one.step for one in checkpoints(place.lab.database, longer)] == [1500]


def test_what_goes_on_from_certain_runs_prefers_them_and_needs_one(place: Place) -> None:
    old = place.trained("a", 1000)
    place.trained("a", 1000, force=True)
    fork = place.post("f", 2000, course=None, of="a", prefer=[old])
    assert place.begins_at(fork) == (old, 1000)
    with pytest.raises(StateNotKept):
        place.post("g", 2000, course="another", prefer=[old])


def test_a_file_that_several_share_is_counted_once(place: Place) -> None:
    run_id = place.trained("a", 1000)
    runs = [new_run(id, steps=2000, origin_id="a") for id in ("f", "g", "h")]
    experiment_id = place.lab.post(runs=runs)
    taken = usage(place.lab.database, [experiment_id])[experiment_id].checkpoints
    assert taken == place.end_of(run_id).bytes


def test_a_run_from_before_there_were_courses_has_one_when_it_is_trained(place: Place) -> None:
    place.post("a", 1000, course=None)
    claim = place.lab.take()
    place.save(claim, 1000)
    finish_training(place.lab.database, claim, record={}, course_id="c")
    assert place.begins_at(place.post("b", 2000)) == (claim.run_id, 1000)


def test_only_what_is_left_is_foretold(place: Place) -> None:
    place.trained("a", 1000)
    new = new_run("b", steps=3000, course_id="c")
    assert dry_run(place.lab.database, [new]).steps == 2000
    assert dry_run(place.lab.database, [new], force=True).steps == 3000


def test_a_run_that_is_deleted_meanwhile_is_not_begun_from(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is looked up, then deleted by another, then locked."""
    experiment_id = place.post("a", 1000)
    place.train()
    place.lab.evaluate()
    looked_up, deleted = threading.Event(), threading.Event()
    look_up = store.experiments.submit.starting_states

    def slow(*arguments: Any) -> Any:
        found = look_up(*arguments)
        if not looked_up.is_set():
            looked_up.set()
            deleted.wait(0.5)
        return found

    monkeypatch.setattr("store.experiments.submit.starting_states", slow)
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(place.post, "b", 2000)
        assert looked_up.wait(5)
        # On SQLite it waits for the other's transaction, and comes after it.
        delete_experiment(place.lab.database, experiment_id)
        deleted.set()
        longer = posted.result(10)
    place.collect()
    # Where the file was deleted with its run, the other begins anew; else it has the file.
    place.begins_at(longer)
