"""The Interventional Robustness Score: by hand, in closed form, and by its formula in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows, UnfitFactor
from ml.metrics.intervention.irs import IRS


def by_formula(codes: np.ndarray, factors: np.ndarray, quantile: float) -> float:
    furthest = np.abs(codes - codes.mean(0)).max(0)
    matrix = np.empty((codes.shape[1], factors.shape[1]))
    for k, factor in enumerate(factors.T):
        moved = []
        for value in np.unique(factor):
            group = codes[factor == value]
            moved.append(np.quantile(np.abs(group - group.mean(0)), quantile, axis=0))
        matrix[:, k] = 1 - np.mean(moved, axis=0) / furthest
    return float(np.average(matrix.max(1), weights=furthest))


def population(sizes: tuple[int, ...], latents: int, seed: int = 0) -> Rows:
    """A complete grid, with codes that mix its factors and some noise."""
    draws = np.random.default_rng(seed)
    factors = np.indices(sizes).reshape(len(sizes), -1).T
    codes = factors @ draws.normal(size=(len(sizes), latents))
    rows = rows_of(codes + draws.normal(size=codes.shape), factors)
    return replace(rows, population=True)


def test_a_case_worked_by_hand() -> None:
    factor = np.array([[0], [0], [1], [1]])
    codes = np.array([[0.0, 0.0, 7.0], [1.0, 0.0, 7.0], [4.0, 6.0, 7.0], [5.0, 0.0, 7.0]])
    (found,) = score(codes, factor, [{"name": "irs", "quantile": 1.0}], uncertainty=False)
    # First code: its mean is 2.5, its largest deviation 2.5, and 0.5 in either group.
    # Second code: its mean is 1.5, its largest deviation 4.5, and 0 and 3 in the groups.
    assert found.details["irs"] == [[pytest.approx(0.8)], [pytest.approx(2 / 3)]]
    assert found.details["weights"] == [2.5, 4.5]
    assert found.value == pytest.approx((0.8 * 2.5 + 2 / 3 * 4.5) / 7)
    # The third code is constant. Theirs would print the sum of codes here.
    assert found.details["active"] == [0, 1]


@pytest.mark.parametrize("sizes", [(3, 4), (2, 7), (5, 5)])
def test_a_sum_of_two_factors_of_a_lattice_has_a_closed_form(sizes: tuple[int, int]) -> None:
    first, second = np.indices(sizes).reshape(2, -1)
    asked = {"name": "irs", "quantile": 1.0}
    (found,) = score((first + second)[:, None], np.c_[first, second], [asked], uncertainty=False)
    # Of m and n values: (m - 1 + n - 1) / 2 at most, and (n - 1) / 2 if the first keeps its value.
    m, n = sizes
    expected = [(m - 1) / (m + n - 2), (n - 1) / (m + n - 2)]
    assert found.details["irs"] == [pytest.approx(expected)]
    assert found.value == pytest.approx(max(expected))


@pytest.mark.parametrize("quantile", [0.01, 0.3, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("samples", [7, 200, 3000])
def test_any_quantile_is_that_of_the_formula(quantile: float, samples: int) -> None:
    draws = np.random.default_rng(samples)
    factors = draws.integers(0, (3, 6), (samples, 2))
    codes = draws.normal(size=(samples, 3)) + factors[:, :1]
    codes[:, 2] = codes[:, 2].round()  # Of few values, most of them many times.
    found = IRS(quantile=quantile, bins=None).values(rows_of(codes, factors))
    assert found["irs"] == pytest.approx(by_formula(codes, factors, quantile), abs=1e-12)


@pytest.mark.parametrize("quantile", [0.9, 0.99, 1.0])
def test_a_null_from_the_tails_of_codes_is_that_of_all_rows(quantile: float) -> None:
    rows = population((8, 9, 30), 3)
    metric = IRS(quantile=quantile, bins=None)
    draws = np.random.default_rng(0)
    for _ in range(5):
        permuted = rows.factors[draws.permutation(len(rows))]
        given = replace(rows, factors=permuted, shared={})
        found = metric.values(given)["irs"]
        assert found == pytest.approx(by_formula(rows.codes, permuted, quantile), abs=1e-12)
        assert any("tails of codes" in key and key[1] > 0 for key in given.shared)


def test_bins_are_of_equal_width_and_a_continuous_factor_needs_them() -> None:
    draws = np.random.default_rng(3)
    factors = draws.uniform(size=(500, 1))
    factors[:2, 0] = 0, 1
    codes = draws.normal(size=(500, 2)) + factors
    found = IRS(bins=4).values(rows_of(codes, factors))
    cut = (factors * 4).astype(int).clip(max=3)
    assert found["irs"] == pytest.approx(by_formula(codes, cut, 0.99), abs=1e-12)
    with pytest.raises(UnfitFactor, match="set bins"):
        IRS(bins=None).compute(rows_of(codes, factors))


def test_constant_codes_score_nothing_and_say_why() -> None:
    codes, factors = np.full((20, 2), 0.1, np.float32), np.arange(20)[:, None] % 4
    (found,) = score(codes, factors, ["irs"])
    assert found.value == 0 and found.details["active"] == []
    assert found.details["reason"] == "all codes are constant"


def test_perfect_codes_of_more_values_than_bins_move_within_them() -> None:
    factors = np.arange(40)[:, None]
    (coarse,) = score(factors * 1.0, factors, [{"name": "irs", "quantile": 1.0}])
    # Bins of two values: half a step of 19.5.
    assert coarse.value == pytest.approx(1 - 0.5 / 19.5)
    assert coarse.details["on_perfect_codes"]["value"] == pytest.approx(coarse.value)


def test_a_population_has_no_interval_to_speak_of_and_is_the_limit_of_samples() -> None:
    rows = population((5, 6, 7, 8), 4)
    whole, metric, draws = IRS().values(rows)["irs"], IRS(), np.random.default_rng(1)
    assert metric.half_widths_of_draws(rows) == {"irs": 0.0}
    off = []
    for samples in (100, 400, 1600):
        drawn = [
            metric.values(rows.take(draws.permutation(len(rows))[:samples], samples))["irs"]
            for _ in range(10)
        ]
        off.append(abs(np.mean(drawn) - whole))
    assert off[0] > off[1] > off[2] and off[2] < 0.01
