"""Conditions of rows: each is found with its numbers where it holds, and not on good data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.grouped_rows import grouped
from ml.codes.rows import Rows
from ml.evaluation.conditions import conditions

SHAPES3D = (10, 10, 10, 8, 4, 15)
DSPRITES = (3, 6, 40, 32, 32)


def drawn(sizes: tuple[int, ...], rows: int, seed: int = 0, latents: int = 10) -> Rows:
    """Balanced and independent factors, and codes of noise."""
    draws = np.random.default_rng(seed)
    return rows_of(draws.normal(size=(rows, latents)), draws.integers(0, sizes, (rows, len(sizes))))


def of(factors: Any, codes: Any = None, **options: Any) -> dict[str, dict[str, Any]]:
    factors = np.asarray(factors)
    if codes is None:
        codes = np.random.default_rng(9).normal(size=(len(factors), factors.shape[1]))
    return conditions(rows_of(np.asarray(codes), factors, **options))


def followed(share: float, rows: int = 4000) -> np.ndarray:
    """Three factors of four values, the second a copy of the first in so many rows."""
    draws = np.random.default_rng(0)
    one, other, third = draws.integers(0, 4, (3, rows))
    return np.c_[one, np.where(draws.random(rows) < share, one, other), third]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("sizes", "rows"),
    [(SHAPES3D, 10_000), ((3, 4, 5), 1000), ((2, 2), 200), ((2,) * 40, 5000), ((10,), 1797)],
)
def test_good_data_have_no_condition(sizes: tuple[int, ...], rows: int, seed: int) -> None:
    assert conditions(drawn(sizes, rows, seed, latents=2 * len(sizes))) == {}


def test_a_grid_has_no_condition() -> None:
    grid = np.indices((3, 6, 8)).reshape(3, -1).T.repeat(10, axis=0)
    assert of(grid) == {}


@pytest.mark.parametrize("seed", range(5))
def test_dsprites_have_many_values_and_no_other_condition(seed: int) -> None:
    found = conditions(drawn(DSPRITES, 10_000, seed))
    assert found == {"many_values": {"factor": "factor_2", "values": 40}}


@pytest.mark.parametrize("rows", [50, 200])
@pytest.mark.parametrize("seed", range(20))
def test_chance_makes_no_factor_depend_on_another(rows: int, seed: int) -> None:
    for sizes in ((2, 2, 2), (3, 4, 5), (18, 18), (2, 40)):
        found = conditions(drawn(sizes, rows, seed, latents=2))
        assert "dependent_factors" not in found, sizes
        assert rows == 50 or "unbalanced_factors" not in found


def test_dependence_is_the_share_of_entropy_that_one_tells_of_another() -> None:
    found = of(followed(0.8), factor_names=["shape", "x", "y"])["dependent_factors"]
    assert {found["one"], found["other"]} == {"shape", "x"}
    # Of one value of four, 0.85 is the same and 0.05 each of the others.
    p = np.array([0.85, 0.05, 0.05, 0.05])
    assert found["share"] == pytest.approx(1 + (p * np.log(p)).sum() / np.log(4), abs=0.02)


def test_what_chance_adds_to_dependence_is_taken_off() -> None:
    draws = np.random.default_rng(0)
    one, other = draws.integers(0, 20, (2, 600))
    found = of(np.c_[one, np.where(draws.random(600) < 0.5, one, other)])["dependent_factors"]
    # Of twenty values, 0.525 is the same. Chance alone would add a tenth of the entropy.
    p = np.r_[0.525, np.full(19, 0.025)]
    assert found["share"] == pytest.approx(1 + (p * np.log(p)).sum() / np.log(20), abs=0.04)


def test_dependence_is_found_beside_a_column_of_own_values() -> None:
    factors = np.c_[followed(0.8, rows=6000), np.arange(6000)]
    assert "dependent_factors" in of(factors)


def test_weak_dependence_is_none() -> None:
    assert of(followed(0.15)) == {}
    assert "dependent_factors" in of(followed(0.5))


def test_a_factor_given_twice_is_told_of_elsewhere() -> None:
    draws = np.random.default_rng(0)
    one, other = draws.integers(0, 4, (2, 1000))
    assert of(np.c_[one, 3 - one, other]) == {}
    # One that merges values of another is not the same.
    assert of(np.c_[one, one // 2, other])["dependent_factors"]["share"] == pytest.approx(
        1, abs=0.1
    )


def test_a_population_is_independent_and_not_few() -> None:
    lattice = np.indices((3, 4, 12)).reshape(3, -1).T
    codes = np.random.default_rng(0).normal(size=(len(lattice), 3))
    rows = rows_of(codes, lattice)
    assert set(conditions(rows)) == {"few_rows"}
    assert conditions(replace(rows, population=True, shared={})) == {}


def test_imbalance_names_the_factor_that_is_least_balanced() -> None:
    draws = np.random.default_rng(0)
    even, rare = draws.integers(0, 4, 5000), draws.choice(4, 5000, p=[0.85, 0.05, 0.05, 0.05])
    found = of(np.c_[even, rare], factor_names=["even", "rare"])
    assert set(found) == {"unbalanced_factors"}
    assert found["unbalanced_factors"]["factor"] == "rare"
    assert found["unbalanced_factors"]["share"] == pytest.approx(0.85, abs=0.02)
    # A binary factor of 0.3 has 0.88 of the entropy of an even one, and one of 0.2 has 0.72.
    assert of((draws.random((5000, 2)) < 0.3).astype(int)) == {}
    assert "unbalanced_factors" in of((draws.random((5000, 2)) < 0.2).astype(int))


def test_many_values_are_more_than_bins() -> None:
    draws = np.random.default_rng(0)
    assert of(draws.integers(0, (20, 4), (5000, 2))) == {}
    found = of(draws.integers(0, (21, 4), (5000, 2)), factor_names=["x", "y"])
    assert found == {"many_values": {"factor": "x", "values": 21}}


def test_few_rows_are_counted_by_value() -> None:
    factors = np.arange(590)[:, None] % np.array([10, 3])
    assert of(factors, factor_names=["digit", "y"]) == {
        "few_rows": {"rows": 590, "factor": "digit", "values": 10, "rows_per_value": 59.0}
    }
    assert of(np.arange(600)[:, None] % np.array([10, 3])) == {}


def test_latents_are_many_from_three_a_factor_on() -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 4, (1000, 2))
    assert of(factors, draws.normal(size=(1000, 5))) == {}
    found = of(factors, draws.normal(size=(1000, 6)))
    assert found == {"more_latents": {"latents": 6, "factors": 2}}


def test_a_dead_code_is_constant() -> None:
    draws = np.random.default_rng(0)
    factors, codes = draws.integers(0, 4, (1000, 3)), draws.normal(size=(1000, 4))
    codes[:, 1] = 1e-7 * codes[:, 1]
    assert of(factors, codes) == {}
    codes[:, 1] = 0.1
    assert of(factors, codes) == {"dead_codes": {"codes": 1, "latents": 4}}


def test_groups_of_codes_count_as_one_latent() -> None:
    draws = np.random.default_rng(0)
    factors, codes = draws.integers(0, 4, (1000, 2)), draws.normal(size=(1000, 6))
    codes[:, 1] = 0
    rows = grouped(rows_of(codes, factors), [[0, 1], [2, 3], [4, 5]], "importance")
    assert set(conditions(rows_of(codes, factors))) == {"more_latents", "dead_codes"}
    assert conditions(rows) == {}


def test_continuous_factors_are_counted() -> None:
    values = np.random.default_rng(0).random((2000, 3))
    assert of(values) == {"continuous_factors": {"factors": 3}}
    kinds = ["continuous", "discrete", "discrete"]
    found = of(np.floor(values * [1e6, 4, 4]), factor_kinds=kinds)
    assert found == {"continuous_factors": {"factors": 1}}


def test_of_hardly_any_rows_nothing_is_said() -> None:
    assert of(np.arange(9)[:, None] % 2, np.zeros((9, 4))) == {}


def test_factors_of_a_value_for_each_row_are_no_dependence() -> None:
    factors = np.c_[np.random.default_rng(0).permutation(500), np.arange(500)]
    assert "dependent_factors" not in of(factors)


def test_conditions_are_in_the_details_of_scores_that_know_factors() -> None:
    codes = np.random.default_rng(0).normal(size=(4000, 3))
    [one] = score(codes, followed(0.8), ["mig"], uncertainty=False)
    assert set(one.details["conditions"]) == {"dependent_factors"}
    [good] = score(codes, followed(0.0), ["mig"], uncertainty=False)
    assert "conditions" not in good.details
