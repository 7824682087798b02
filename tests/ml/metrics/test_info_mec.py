"""InfoMEC, by hand, by closed forms and beside scikit-learn's estimator."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif

from ml import score
from ml.metrics.identifiability.nearest_neighbours import information_by_neighbours, sorted_column
from ml.metrics.protocol import Score, UnfitFactor
from tests.ml.golden import arrays

DISCRETE = {"name": "info_mec", "latents": "discrete"}


def info_mec(
    codes: np.ndarray, factors: np.ndarray, metric: object = "info_mec"
) -> dict[str, Score]:
    found = score(codes, factors, metric, uncertainty=False)  # type: ignore[arg-type]
    return {one.name: one for one in found}


def value(score: Score) -> float:
    assert score.value is not None, score.error
    return score.value


@pytest.mark.parametrize("problem", ["p03_linmix", "p06_undercomplete_noise", "p09_tiny"])
@pytest.mark.parametrize("neighbours", [3, 10])
def test_sorted_neighbours_are_scikit_learns(problem: str, neighbours: int) -> None:
    codes, factors = arrays(problem)
    draws = np.random.default_rng(0)
    for code in codes.T.astype(np.float64):
        # Some float32 values are equal, and scikit-learn would break the ties by its own jitter.
        code += 1e-6 * draws.normal(size=len(code))
        column = (code - code.mean()) / code.std()
        for factor in factors.T.astype(np.int64):
            (theirs,) = mutual_info_classif(
                column[:, None], factor, discrete_features=False, n_neighbors=neighbours
            )
            ours = information_by_neighbours(sorted_column(column), factor, neighbours)
            assert ours == pytest.approx(theirs, abs=1e-12)


def test_neighbours_by_hand_with_a_class_of_one_row() -> None:
    # The row of class 2 is left out. Of 0, 1, 3 (class 0) and 4, 9 (class 1) the nearest of the
    # own class are at 1, 1, 2, 5 and 5. With themselves 1, 1, 2, 4 and 1 rows are closer.
    values = np.array([4.0, 0.0, 3.0, 7.0, 9.0, 1.0])
    classes = np.array([1, 0, 0, 2, 1, 0])
    # With psi(1) = -g: psi(5) = 25/12 - g, psi(2) = 1 - g, psi(3) = 3/2 - g, psi(4) = 11/6 - g.
    expected = 25 / 12 - (3 * 3 / 2 + 2 * 1) / 5 - (1 + 11 / 6) / 5
    found = information_by_neighbours(sorted_column(values), classes, 1)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 4, 10])
def test_small_classes_and_close_values_are_counted_one_by_one(k: int) -> None:
    draws = np.random.default_rng(k)
    # Far from zero sums are rounded more coarsely than differences.
    values = 1e6 + draws.integers(0, 4, 70) + 1e-9 * draws.permutation(70)
    classes = draws.integers(0, 12, 70)
    psi, kept = [], [i for i in range(70) if (classes == classes[i]).sum() > 1]
    harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, 200))]
    for i in kept:
        own = np.sort([abs(values[j] - values[i]) for j in kept if classes[j] == classes[i]])
        near = min(k, len(own) - 1)
        closer = sum(abs(values[j] - values[i]) < own[near] for j in kept)
        assert closer > 0
        psi.append(harmonic[near - 1] - harmonic[len(own) - 1] - harmonic[closer - 1])
    expected = max(0.0, harmonic[len(kept) - 1] + np.mean(psi))
    found = information_by_neighbours(sorted_column(values), classes, k)
    assert found == pytest.approx(expected, abs=1e-12)


def test_discrete_latents_by_hand() -> None:
    first, second = np.indices((2, 4)).reshape(2, -1)
    factors = np.tile(np.stack([first, second], axis=1), (20, 1))
    # One latent is the first factor; one is half of the second; one is both of these bits.
    half = factors[:, 1] // 2
    codes = np.stack([factors[:, 0], half, 2 * factors[:, 0] + half, 0 * half], axis=1)
    found = info_mec(codes, factors, DISCRETE)
    shares = [[1.0, 0.0], [0.0, 0.5], [1.0, 0.5], [0.0, 0.0]]
    np.testing.assert_allclose(found["info_m"].details["shares"], shares, atol=1e-12)
    assert found["info_m"].details["active"] == [True, True, True, False]
    # Largest shares of the sums: 1, 1, 2/3 for latents; 1/2, 1/2 for factors.
    assert value(found["info_m"]) == pytest.approx((8 / 9 - 1 / 2) / (1 / 2))
    assert value(found["info_c"]) == pytest.approx((1 / 2 - 1 / 3) / (2 / 3))
    # All of the first factor's log 2, and log 2 of the second's log 4.
    assert found["info_e"].details["per_factor"] == pytest.approx([1.0, 0.5], abs=1e-3)


def test_narrow_latents_are_pruned_and_a_single_one_has_no_compactness() -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 5, (600, 2))
    codes = np.c_[factors[:, 0] + 0.1 * draws.normal(size=600), 0.01 * factors[:, 1]]
    found = info_mec(codes, factors)
    assert found["info_m"].details["active"] == [True, False]
    assert value(found["info_m"]) > 0.95
    assert found["info_c"].value is None
    assert found["info_c"].error == "info_c compares active latents and needs at least two, got one"
    kept = info_mec(codes, factors, {"name": "info_mec", "prune_below": 0.0})
    assert value(kept["info_c"]) > 0.95


def test_noise_scores_high_and_its_null_says_so() -> None:
    draws = np.random.default_rng(0)
    codes, factors = draws.normal(size=(400, 4)), draws.integers(0, 5, (400, 3))
    found = {one.name: one for one in score(codes, factors, "info_mec")}
    modularity, null = found["info_m"], found["info_m"].null
    assert null is not None and null.mean > 0.25 and null.replicates == 50
    assert abs(value(modularity) - null.mean) < 3 * null.std
    assert value(found["info_e"]) < 0.1


def test_latents_that_know_nothing_score_nothing() -> None:
    factors = np.tile(np.arange(4), 10)[:, None] // [[1, 2]]
    found = info_mec(np.zeros((40, 3)), factors)
    assert [value(one) for one in found.values()] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_a_continuous_factor_needs_bins() -> None:
    factors = np.random.default_rng(0).uniform(size=(200, 2))
    with pytest.raises(UnfitFactor, match="set factor_bins"):
        info_mec(factors, factors)
    found = info_mec(factors, factors, {"name": "info_mec", "factor_bins": 5})
    assert value(found["info_m"]) > 0.9
