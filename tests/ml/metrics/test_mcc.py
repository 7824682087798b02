"""The mean correlation coefficient, by hand and beside scipy."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.uncertainty import null_draws
from ml.metrics.identifiability.mcc import MCC
from tests.ml.golden import arrays

PEARSON = {"name": "mcc", "correlation": "pearson"}
SPEARMAN = {"name": "mcc", "correlation": "spearman"}


def mcc(codes: np.ndarray, factors: np.ndarray, metric: dict[str, str] = PEARSON) -> float:
    (found,) = score(codes, factors, [metric], uncertainty=False)
    assert found.value is not None
    return found.value


def test_the_assignment_with_the_largest_sum_is_taken() -> None:
    lattice = np.indices((2, 2, 2)).reshape(3, -1).T
    first, second, noise = (2.0 * lattice - 1).T
    # Correlations .8 and .6, then .7 and .1. The largest first would give (.8 + .1) / 2.
    codes = [0.8 * first + 0.6 * second, 0.7 * first + 0.1 * second + np.sqrt(0.5) * noise]
    (found,) = score(np.stack(codes, axis=1), lattice[:, :2], "mcc", uncertainty=False)
    assert found.value == pytest.approx((0.7 + 0.6) / 2)
    assert found.details["latent_of_factor"] == [1, 0]
    assert found.details["per_factor"] == pytest.approx([0.7, 0.6])
    np.testing.assert_allclose(found.details["correlations"], [[0.8, 0.6], [0.7, 0.1]])


def test_a_factor_without_a_latent_counts_zero() -> None:
    factors = np.indices((3, 4, 5)).reshape(3, -1).T
    (found,) = score(-2.0 * factors[:, [2]], factors, "mcc", uncertainty=False)
    assert found.value == pytest.approx(1 / 3)
    assert found.details["latent_of_factor"] == [-1, -1, 0]


def test_ranks_are_kept_by_monotone_functions_and_values_by_lines_alone() -> None:
    factors = np.indices((5, 6)).reshape(2, -1).T
    warped = np.exp(2.0 * factors) * [-1, 1]
    assert mcc(warped, factors, SPEARMAN) == pytest.approx(1.0)
    assert mcc(warped, factors) < 0.8
    assert mcc(3.0 - 7.0 * factors, factors) == pytest.approx(1.0)


@pytest.mark.parametrize("problem", ["p03_linmix", "p09_tiny"])
def test_every_assignment_of_scipys_correlations_is_tried(problem: str) -> None:
    codes, factors = arrays(problem)
    latents, number = codes.shape[1], factors.shape[1]
    for metric, matrix in (
        (SPEARMAN, spearmanr(codes, factors).statistic),
        (PEARSON, np.corrcoef(codes.astype(np.float64), factors, rowvar=False)),
    ):
        found = np.abs(matrix[:latents, latents:])
        best = max(
            found[list(chosen), range(number)].mean()
            for chosen in permutations(range(latents), number)
        )
        assert mcc(codes, factors, metric) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("metric", [PEARSON, SPEARMAN], ids=["pearson", "spearman"])
def test_the_null_is_the_score_on_permuted_factors(
    metric: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.metrics.identifiability.mcc.MOST_PERMUTATIONS", 5)
    monkeypatch.setattr("ml.metrics.identifiability.mcc.FEWEST_PERMUTATIONS", 5)
    codes, factors = arrays("p09_tiny")
    asked = MCC.model_validate(metric)
    for repeated in (1, 2):
        rows = rows_of(np.tile(codes, (repeated, 1)), np.tile(factors, (repeated, 1)))
        draws = null_draws(asked.values, rows, 5)["mcc"]
        np.testing.assert_allclose(asked.null(rows)["mcc"], draws, atol=1e-12)


def test_chance_grows_with_the_number_of_latents() -> None:
    draws = np.random.default_rng(0)
    factors, noise = draws.integers(0, 5, (300, 3)), draws.normal(size=(300, 40))
    few, many = (score(noise[:, :d], factors, "mcc")[0] for d in (3, 40))
    assert few.null is not None and many.null is not None and many.value is not None
    assert many.null.mean > 1.5 * few.null.mean
    assert many.null.replicates == 1000
    assert abs(many.value - many.null.mean) < 3 * many.null.std
