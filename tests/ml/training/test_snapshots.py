from __future__ import annotations

import numpy as np
import pytest

from ml.networks.model import Model
from ml.training.loop import train
from ml.training.snapshots import snapshot_steps
from tests.ml.recorders import Kept

SPEC = {
    "dataset": "digits",
    "objective": "beta_vae",
    "model": {"name": "mlp", "latent_dim": 2, "hidden": [8]},
    "training": {"steps": 9, "batch_size": 4, "snapshots": 3},
}


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [
        (1000, 3, {1, 10, 100}),
        (10_000, 4, {1, 10, 100, 1000}),
        (5, 0, set()),
        (1, 3, set()),
        (2, 100, {1}),
        (9, 2, {1, 3}),
    ],
)
def test_snapshots_are_evenly_spaced_on_a_logarithmic_axis(
    steps: int, count: int, expected: set[int]
) -> None:
    assert snapshot_steps(steps, count) == expected


def test_a_snapshot_has_the_weights_of_a_run_that_ended_there() -> None:
    kept = Kept()
    model = train(SPEC, kept)
    assert sorted(kept.snapshots) == [1, 2, 4] and model.steps == 9
    for step, file in kept.snapshots.items():
        snapshot = Model.from_bytes(file)
        short = train(SPEC | {"training": {"steps": step, "batch_size": 4}})
        assert snapshot.steps == step
        for network, named in short.parameters.items():
            for name, tensor in named.items():
                np.testing.assert_array_equal(snapshot.parameters[network][name], tensor)


def test_a_run_taken_up_again_makes_the_snapshots_that_are_left() -> None:
    before = Kept(pause_at=3)
    with pytest.raises(Exception, match="pause"):
        train(SPEC, before)
    after = Kept(start=before.files[-1])
    train(SPEC, after)
    assert sorted(before.snapshots) == [1, 2] and sorted(after.snapshots) == [4]
