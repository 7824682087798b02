from __future__ import annotations

import math

import pytest
from sqlalchemy import func, select

from store.database.tables import Scalars
from store.errors import NotFound
from store.experiments.cancel import cancel_run
from store.files.artifact_names import CURVES
from store.files.curves import curves, to_bytes
from store.files.objects import ObjectFolder
from store.jobs.finish import NewArtifact, finish_training, release
from store.jobs.heartbeat import Beat, beat
from store.jobs.reaper import reap
from store.queries import run
from tests.store.lab import Lab


def test_a_beat_renews_the_lease(lab: Lab) -> None:
    lab.post("a")
    taken = lab.take(lease=-1)
    beat(lab.database, taken, lease_seconds=30)
    assert reap(lab.database, max_losses=3).requeued == 0
    beat(lab.database, taken, lease_seconds=-1)
    assert reap(lab.database, max_losses=3).requeued == 1


def test_progress_is_overwritten_and_kept_by_a_beat_without_any(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    beat(lab.database, taken, lease_seconds=30, progress={"step": 1, "stage": "warm up"})
    beat(lab.database, taken, lease_seconds=30, progress={"step": 2})
    beat(lab.database, taken, lease_seconds=30)
    assert run(lab.database, run_id).progress == {"step": 2}


def test_a_beat_brings_back_cancellation(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    assert beat(lab.database, taken, lease_seconds=30) == Beat(cancel_requested=False)
    cancel_run(lab.database, run_id)
    assert beat(lab.database, taken, lease_seconds=30) == Beat(cancel_requested=True)


def test_scalars_of_a_later_attempt_win_at_the_same_step(lab: Lab, objects: ObjectFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    first = lab.take()
    beat(lab.database, first, lease_seconds=30, points={"loss": [(1, 9.0), (2, 8.0)]})
    beat(lab.database, first, lease_seconds=30, points={"loss": [(3, 7.0)], "kl": [(3, 0.5)]})
    release(lab.database, first)
    # From a checkpoint at step 1.
    second = lab.take()
    beat(lab.database, second, lease_seconds=30, points={"loss": [(2, 8.5)]})
    assert curves(lab.database, objects, run_id) == {
        "kl": [(3, 0.5)],
        "loss": [(1, 9.0), (2, 8.5), (3, 7.0)],
    }
    assert curves(lab.database, objects, run_id, ["kl", "unknown"]) == {"kl": [(3, 0.5)]}


def test_numbers_that_are_not_finite_are_kept_as_null(lab: Lab, objects: ObjectFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    points = {"loss": [(1, math.nan), (2, math.inf), (3, 1.5)]}
    beat(lab.database, lab.take(), lease_seconds=30, points=points)
    assert curves(lab.database, objects, run_id) == {"loss": [(1, None), (2, None), (3, 1.5)]}


def test_a_beat_without_points_writes_no_chunk(lab: Lab, objects: ObjectFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    beat(lab.database, lab.take(), lease_seconds=30, points={"loss": []})
    assert curves(lab.database, objects, run_id) == {}
    with pytest.raises(NotFound, match="no run 'run_x'"):
        curves(lab.database, objects, "run_x")


def test_curves_of_a_trained_run_lie_in_its_file_alone(lab: Lab, objects: ObjectFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    points = {"kl": [(2, math.nan)], "loss": [(1, 0.1), (2, 1e-9)]}
    beat(lab.database, taken, lease_seconds=30, points=points)
    before = curves(lab.database, objects, run_id)
    sha256, size = objects.put(to_bytes(before))
    file = NewArtifact(CURVES, sha256, "application/json", size)
    finish_training(lab.database, taken, record={}, artifacts=[file])
    with lab.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Scalars)) == 0
    assert curves(lab.database, objects, run_id) == before
    assert before["loss"] == [(1, 0.1), (2, 1e-9)]


def test_curves_that_no_file_has_stay_rows(lab: Lab, objects: ObjectFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    beat(lab.database, taken, lease_seconds=30, points={"loss": [(1, 0.1)]})
    finish_training(lab.database, taken, record={})
    assert curves(lab.database, objects, run_id) == {"loss": [(1, 0.1)]}
