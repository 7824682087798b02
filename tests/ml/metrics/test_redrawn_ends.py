"""The ends of codes' ranges, as other draws would have them, and the intervals that need them."""

import numpy as np
import pytest

from ml.codes.checked_rows import rows_of
from ml.evaluation.score import metric_of
from ml.metrics.information.mutual_information import bins_between, equal_width_bins
from ml.metrics.information.redrawn_ends import redrawn_ends


def t(degrees: float) -> object:
    return lambda draws, shape: draws.standard_t(degrees, shape)


@pytest.mark.parametrize(
    ("sample", "tolerance"),
    [
        (lambda draws, shape: draws.random(shape), 0.35),
        (lambda draws, shape: draws.standard_normal(shape), 0.35),
        (t(3), 0.35),
        (t(2), 0.35),
    ],
)
def test_redrawn_ends_move_as_those_of_fresh_draws(sample: object, tolerance: float) -> None:
    assert callable(sample)
    draws = np.random.default_rng(0)
    fresh = np.log(sample(draws, (4000, 1000)).max(1))
    # One draw tells its tail roughly: many together must move as much as fresh ones.
    found = [np.log(redrawn_ends(sample(draws, (1000, 1)), 200, draws)[1]).std() for _ in range(60)]
    assert np.median(found) == pytest.approx(fresh.std(), rel=tolerance)


def test_lowest_values_are_the_highest_of_the_other_sign() -> None:
    values = np.random.default_rng(0).standard_t(3, (500, 2))
    low, high = redrawn_ends(values, 50, np.random.default_rng(1))
    assert low.shape == high.shape == (50, 2)
    assert (low.max(0) < np.quantile(values, 0.06, axis=0)).all()
    assert (high.min(0) > np.quantile(values, 0.94, axis=0)).all()


@pytest.mark.parametrize("values", [np.arange(400) % 7, np.zeros(400), np.array([1.0, 2.0])])
def test_ends_that_several_rows_share_do_not_move(values: np.ndarray) -> None:
    low, high = redrawn_ends(values[:, None], 20, np.random.default_rng(0))
    if len(values) > 2:
        assert set(low.ravel()) == {values.min()} and set(high.ravel()) == {values.max()}
    assert np.isfinite(low).all() and np.isfinite(high).all()


def test_bins_between_a_columns_own_ends_are_its_bins() -> None:
    values = np.random.default_rng(0).normal(size=(500, 3))
    found = bins_between(values, 20, values.min(0), values.max(0))
    np.testing.assert_array_equal(found, equal_width_bins(values, 20))
    # A difference of such values is beyond the largest float64.
    wide = 1.7e308 * np.clip(values, -1, 1)
    narrow = equal_width_bins(np.clip(values, -1, 1) / 4, 20)
    np.testing.assert_array_equal(equal_width_bins(wide, 20), narrow)
    assert len(np.unique(narrow)) == 20
    np.testing.assert_array_equal(bins_between(wide, 20, wide.min(0), wide.max(0)), narrow)
    beyond = bins_between(np.array([[-9.0], [0.5], [9.0]]), 10, np.array([0.0]), np.array([1.0]))
    assert beyond.ravel().tolist() == [0, 5, 9]


def coded(draws: np.random.Generator, degrees: float | None) -> tuple[np.ndarray, np.ndarray]:
    """A thousand rows of five codes of three factors, with normal noise or Student's t."""
    factors = np.stack([draws.integers(0, size, 1000) for size in (3, 4, 5)], axis=1)
    shape = (1000, 5)
    noise = draws.normal(size=shape) if degrees is None else draws.standard_t(degrees, shape)
    first, second, third = factors.T
    told = [first, second + 0.7 * third, np.sin(third), 0 * first, 0.2 * first + 0.5 * third]
    return np.stack(told, axis=1) + noise * [0.4, 0.5, 0.3, 1, 1], factors


def held(degrees: float | None, number: int) -> tuple[float, float]:
    """Share of intervals of DCIMIG that hold its expected value, and width over deviation."""
    metric, draws = metric_of("dcimig"), np.random.default_rng(0)
    fresh = [metric.values(rows_of(*coded(draws, degrees)))["dcimig"] for _ in range(6 * number)]
    found, widths = [], []
    for seed in range(number):
        rows = rows_of(*coded(draws, degrees), seed=seed)
        widths.append(metric.half_widths(rows)["dcimig"])
        found.append(abs(metric.values(rows)["dcimig"] - np.mean(fresh)) <= widths[-1])
    return float(np.mean(found)), float(np.mean(widths) / np.std(fresh))


def test_intervals_of_heavy_tailed_codes_hold_the_expected_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 40)
    share, _ = held(2, 40)
    # Of subsamples alone 0.78.
    assert share >= 0.9


def test_intervals_of_normal_codes_are_not_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 40)
    _, width = held(None, 15)
    # Of subsamples alone 2.3.
    assert width < 2.6
