"""What differences come from: groups of unequal sizes, worked by hand."""

import numpy as np
import pytest

from ml.studies.variance_shares import variance_shares


def test_unequal_groups_by_hand() -> None:
    # Mean 4. Objective a: 1, 3 | 5, mean 3; objective b: 6 | 3, 6, mean 5.
    values = [1, 3, 5, 6, 3, 6]
    shares = variance_shares(values, list("aaabbb"), [1, 1, 2, 1, 2, 2])
    assert shares is not None
    # In all 9 + 1 + 1 + 4 + 1 + 4 = 20; between objectives 3 x 1 + 3 x 1 = 6.
    assert shares.objective == pytest.approx(6 / 20)
    # a: 2 x (2 - 3)^2 + (5 - 3)^2 = 6; b: (6 - 5)^2 + 2 x (4.5 - 5)^2 = 1.5.
    assert shares.hyperparameter == pytest.approx(7.5 / 20)
    # 1 and 3 about 2: 2; 3 and 6 about 4.5: 4.5.
    assert shares.seed == pytest.approx(6.5 / 20)
    assert (shares.runs, shares.settings, shares.objectives) == (6, 4, 2)


def test_objectives_of_unequal_sizes_by_hand() -> None:
    # Mean 3: a has 1 | 1, b has 2, 8 of one setting. 4 + 4 + 1 + 25 = 34.
    shares = variance_shares([1, 1, 2, 8], list("aabb"), [1, 2, 1, 1])
    assert shares is not None
    assert shares.objective == pytest.approx((4 + 4 + 4 + 4) / 34)
    assert shares.hyperparameter == pytest.approx(0)
    assert shares.seed == pytest.approx(18 / 34)


def test_each_source_alone_has_it_all() -> None:
    for values, expected in (
        ([1, 1, 1, 1, 2, 2, 2, 2], (1, 0, 0)),
        ([1, 1, 3, 3, 1, 1, 3, 3], (0, 1, 0)),
        ([1, 3, 1, 3, 1, 3, 1, 3], (0, 0, 1)),
    ):
        shares = variance_shares(values, list("aaaabbbb"), [1, 1, 2, 2, 1, 1, 2, 2])
        assert shares is not None
        found = (shares.objective, shares.hyperparameter, shares.seed)
        assert found == pytest.approx(expected)


def test_a_setting_under_two_objectives_is_two() -> None:
    shares = variance_shares([1.0, 2.0, 3.0], list("abb"), ["same"] * 3)
    assert shares is not None and shares.settings == 2


def test_with_one_run_a_setting_nothing_is_said_of_the_seed() -> None:
    shares = variance_shares([1.0, 2.0, 4.0], list("aaa"), [1, 2, 3])
    assert shares is not None
    assert (shares.objective, shares.hyperparameter, shares.seed) == (0, 1, None)
    assert shares.hyperparameter_by_chance == 1


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_no_variance_has_no_shares(values: list[float]) -> None:
    assert variance_shares(values, ["a"] * len(values), range(len(values))) is None


def test_shares_add_up_and_know_no_scale() -> None:
    draws = np.random.default_rng(0)
    values = draws.normal(size=30)
    objectives, settings = draws.integers(0, 3, 30).tolist(), draws.integers(0, 4, 30).tolist()
    shares = variance_shares(values.tolist(), objectives, settings)
    assert shares is not None and shares.seed is not None
    assert shares.objective + shares.hyperparameter + shares.seed == pytest.approx(1)
    for scale, shift in ((-1e200, 0.0), (1e-9, 1.0)):
        other = variance_shares((scale * values + shift).tolist(), objectives, settings)
        assert other is not None
        assert other.objective == pytest.approx(shares.objective, rel=1e-4)
        assert other.seed == pytest.approx(shares.seed, rel=1e-4)


def test_shares_by_chance_are_the_means_over_shuffled_runs() -> None:
    draws = np.random.default_rng(0)
    objectives, settings = list("aaaaabbbbccc"), [1, 1, 2, 2, 3, 1, 1, 2, 2, 1, 2, 2]
    values = draws.exponential(size=12)
    found = []
    for _ in range(2000):
        shares = variance_shares(draws.permutation(values).tolist(), objectives, settings)
        assert shares is not None
        found.append((shares.objective, shares.hyperparameter))
    by_chance = (shares.objective_by_chance, shares.hyperparameter_by_chance)
    assert by_chance == (2 / 11, 4 / 11)
    np.testing.assert_allclose(np.mean(found, axis=0), by_chance, atol=0.015)
