"""The collector removes what nothing refers to, and never anything else."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

import store.retention.collect
from store.database.connection import Database
from store.errors import StorageAway
from store.experiments.evaluations import NewFile, evaluate_file
from store.files.checkpoint_folder import CheckpointFolder
from store.files.folders import MARK
from store.files.objects import ObjectFolder
from store.files.whole_file import ASIDE
from store.jobs.checkpoints import record_checkpoint
from store.jobs.finish import NewArtifact, finish_training
from store.retention.collect import Collected, collect
from store.retention.delete import delete_evaluation, delete_experiment, pin_run
from tests.store.lab import Lab

HOUR = 3600.0


class Place:
    """A lab with its folders."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab = lab
        self.objects = ObjectFolder(root / "objects")
        self.checkpoints = CheckpointFolder(root / "checkpoints")

    def collect(self, *, after: float = HOUR) -> Collected:
        """Collect when all files there are have become older by so much."""
        for folder in (self.objects.root, self.checkpoints.root):
            for path in folder.rglob("*"):
                past = path.stat().st_mtime - after
                os.utime(path, (past, past))
        return collect(self.lab.database, self.objects, self.checkpoints, grace_seconds=HOUR / 2)

    def trained(self, train_id: str, content: bytes) -> str:
        """An experiment whose run has left a file."""
        experiment_id = self.lab.post(train_id)
        taken = self.lab.take()
        sha256, size = self.objects.put(content)
        file = NewArtifact("weights.safetensors", sha256, "x", size)
        finish_training(self.lab.database, taken, record={}, artifacts=[file])
        self.lab.evaluate()
        return experiment_id

    def files(self) -> set[str]:
        roots = (self.objects.root, self.checkpoints.root)
        return {
            str(path.relative_to(root))
            for root in roots
            for path in root.rglob("*")
            if path.is_file() and path.name != MARK
        }


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Place:
    return Place(lab, tmp_path)


def test_files_go_with_what_referred_to_them(place: Place) -> None:
    first, second = place.trained("a", b"one"), place.trained("b", b"two")
    assert place.collect() == Collected()
    delete_experiment(place.lab.database, first)
    assert place.collect() == Collected(objects=1, bytes=3)
    [left] = place.files()
    assert place.objects.path(left.partition("/")[2]).read_bytes() == b"two"
    delete_experiment(place.lab.database, second)
    assert place.collect() == Collected(objects=1, bytes=3)
    assert place.files() == set()


def test_a_file_stays_as_long_as_one_of_several_refers_to_it(place: Place) -> None:
    first, second = place.trained("a", b"same"), place.trained("b", b"same")
    delete_experiment(place.lab.database, first)
    assert place.collect() == Collected()
    delete_experiment(place.lab.database, second)
    assert place.collect().objects == 1


def test_a_sent_file_stays_until_its_last_evaluation_is_deleted(place: Place) -> None:
    file = NewFile(*place.objects.put(b"codes"), name="codes.npz")
    asked = [
        evaluate_file(place.lab.database, file, spec={}, evaluation_key=key, owner=None)
        for key in ("mig", "sap")
    ]
    place.lab.evaluate()
    for one in asked:
        assert place.collect() == Collected()
        delete_evaluation(place.lab.database, one.id)
    assert place.collect() == Collected(objects=1, bytes=5)


def test_a_young_file_is_left_to_whoever_is_about_to_record_it(place: Place) -> None:
    place.objects.put(b"about to be recorded")
    assert place.collect(after=0) == Collected()
    assert place.collect().objects == 1


def test_a_file_that_is_put_again_meanwhile_is_young_again(place: Place) -> None:
    sha256, _ = place.objects.put(b"again")
    place.collect(after=HOUR / 4)
    place.objects.put(b"again")
    assert place.collect(after=HOUR / 4) == Collected()
    assert place.objects.path(sha256).is_file()


def test_a_file_comes_back_when_it_cannot_be_looked_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, _ = place.objects.put(b"orphan")
    look, looks = store.retention.collect._named, itertools.count()

    def named(database: Database, digests: Iterable[str]) -> set[str]:
        if next(looks):
            raise OSError(28, "No space left on device")
        return look(database, digests)

    monkeypatch.setattr(store.retention.collect, "_named", named)
    with pytest.raises(OSError, match="No space"):
        place.collect()
    assert place.objects.path(sha256).read_bytes() == b"orphan"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_file_put_between_look_and_removal_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    sha256, size = place.objects.put(b"raced")
    place.lab.post("a")
    taken = place.lab.take()
    look = store.retention.collect._named
    looks = []

    def named(database: Database, digests: Iterable[str]) -> set[str]:
        found = look(database, digests)
        looks.append(found)
        if len(looks) == 1:
            # A worker finishes right after the collector has found no row that names the file.
            if not recorded:
                place.objects.put(b"raced")
            else:
                file = NewArtifact("weights.safetensors", sha256, "x", size)
                finish_training(place.lab.database, taken, record={}, artifacts=[file])
        return found

    monkeypatch.setattr(store.retention.collect, "_named", named)
    assert place.collect() == Collected()
    assert looks[0] == set()
    assert place.objects.path(sha256).read_bytes() == b"raced"


def test_a_file_that_a_killed_collection_had_set_aside_comes_back(place: Place) -> None:
    place.trained("a", b"one")
    [name] = place.files()
    path = place.objects.root / name
    path.rename(place.objects.root / f".doomed-{path.name}")
    (place.objects.root / f".doomed-{'0' * 64}").write_bytes(b"nobody's")
    assert place.collect() == Collected(objects=1, bytes=8)
    assert path.read_bytes() == b"one" and place.files() == {name}


def test_recorded_checkpoints_stay_and_others_go(place: Place) -> None:
    run_id = place.lab.run_of(place.lab.post("a"))
    taken = place.lab.take()
    for step in (1, 2):
        path, sha256, size = place.checkpoints.write(run_id, taken.fence, step, b"weights")
        if step == 1:
            record_checkpoint(
                place.lab.database,
                taken,
                step=step,
                path=path,
                sha256=sha256,
                size=size,
                width=1,
                device_model="cpu",
            )
    (place.checkpoints.root / run_id / f"{ASIDE}half").write_bytes(b"wei")
    assert place.collect() == Collected(checkpoints=2, bytes=10)
    assert place.files() == {f"{run_id}/{taken.fence}-1.safetensors"}
    # Trained: a worker that was killed before it cleared them leaves them to the collector.
    finish_training(place.lab.database, taken, record={})
    assert place.collect() == Collected(checkpoints=1, bytes=7)
    assert [path.name for path in place.checkpoints.root.iterdir()] == [MARK]


def test_what_a_killed_probe_left_goes(place: Place) -> None:
    for folder in (place.objects, place.checkpoints):
        folder.root.mkdir(parents=True)
        for name in (f"{ASIDE}probe", ".now-probe"):
            (folder.root / name).write_bytes(b"1234")
    assert place.collect() == Collected(checkpoints=2, objects=2, bytes=16)
    assert place.files() == set()


def test_what_is_none_of_ours_stays(place: Place) -> None:
    for root, name in (
        (place.objects.root, "README"),
        (place.objects.root, ".heddle-folder"),
        (place.objects.root, "ab/notes.txt"),
        (place.checkpoints.root, "run_x/keep"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    before = place.files()
    assert place.collect() == Collected()
    assert place.files() == before


def test_a_run_that_nothing_holds_any_more_is_collected(place: Place) -> None:
    experiment_id = place.trained("a", b"one")
    run_id = place.lab.run_of(experiment_id)
    pin_run(place.lab.database, run_id, pinned=True)
    delete_experiment(place.lab.database, experiment_id)
    assert place.collect() == Collected()
    pin_run(place.lab.database, run_id, pinned=False)
    assert place.collect() == Collected(runs=1, objects=1, bytes=3)


def test_the_age_of_files_is_by_their_file_systems_clock(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.objects.put(b"young")
    monkeypatch.setattr(time, "time", lambda: 1e12)
    assert place.collect(after=0) == Collected()


def test_a_folder_that_is_another_databases_is_left_alone(place: Place) -> None:
    place.collect()
    place.objects.put(b"known to another database")
    (place.objects.root / MARK).write_text("of another database")
    before = place.files()
    with pytest.raises(StorageAway):
        place.collect()
    assert place.files() == before
