"""Which images a batch has."""

from __future__ import annotations

import numpy as np
import pytest

from ml.spec.choices import Sampling
from ml.training.sampling import Drawing, WeightedEpochs, indices


def drawn(sampling: Sampling, steps: range, *, seed: int = 0, batch: int = 4) -> np.ndarray:
    stream = indices(sampling, seed=seed, number=0, images=10, batch=batch)
    return np.concatenate([stream.at(step) for step in steps])


def test_an_epoch_has_every_image_once() -> None:
    order = drawn("epochs", range(50))
    assert len(order) == 200
    for epoch in order.reshape(20, 10):
        assert sorted(epoch) == list(range(10))
    assert not np.array_equal(order[:10], order[10:20])


def test_a_batch_larger_than_the_data_set_spans_epochs() -> None:
    order = drawn("epochs", range(2), batch=25)
    assert len(order) == 50
    assert all(sorted(epoch) == list(range(10)) for epoch in order.reshape(5, 10))


@pytest.mark.parametrize("sampling", ["epochs", "with_replacement"])
def test_batches_depend_on_seed_and_step_alone(sampling: Sampling) -> None:
    whole = drawn(sampling, range(600))
    np.testing.assert_array_equal(drawn(sampling, range(290, 300)), whole[4 * 290 : 4 * 300])
    assert not np.array_equal(drawn(sampling, range(600), seed=1), whole)


def test_replacement_draws_every_image_equally_often_and_some_twice() -> None:
    order = drawn("with_replacement", range(5000))
    counts = np.bincount(order, minlength=10)
    # Binomial: 2,000 each, with a deviation of 42.
    assert abs(counts - 2000).max() < 5 * 42
    assert any(len(set(batch)) < 4 for batch in order.reshape(-1, 4))


def test_two_batches_of_one_step_are_independent() -> None:
    streams = [indices("epochs", seed=0, number=n, images=10, batch=4) for n in (0, 1)]
    assert not np.array_equal(*(stream.at(0) for stream in streams))


def test_images_are_drawn_in_proportion_to_their_weights() -> None:
    weights = np.array([0.0, 1.0, 0.0, 4.0, 3.0, 0.0])
    stream = indices(
        "with_replacement", seed=0, number=0, images=6, batch=100, weights=weights / 100
    )
    counts = np.bincount(np.concatenate([stream.at(step) for step in range(160)]), minlength=6)
    # Multinomial: 2,000, 8,000 and 6,000, with deviations of at most 64.
    assert abs(counts - 2000 * weights).max() < 5 * 64
    assert not counts[[0, 2, 5]].any()


def test_no_number_draws_an_image_that_weighs_nothing() -> None:
    class Ends(np.random.Generator):
        """Draws the least and the greatest number that there is."""

        def random(self, size: int) -> np.ndarray:  # type: ignore[override]
            assert size == 2
            return np.array([0.0, np.nextafter(1.0, 0.0)])

    drawing = Drawing(4, np.array([0.0, 0.3, 0.7, 0.0]))
    assert drawing(Ends(np.random.Philox(0)), 2).tolist() == [1, 2]


def test_an_epoch_knows_no_weights() -> None:
    with pytest.raises(WeightedEpochs, match="with_replacement"):
        indices("epochs", seed=0, number=0, images=3, batch=2, weights=np.ones(3))
