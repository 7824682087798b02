"""Known worlds hold of the factors what they say."""

from __future__ import annotations

import numpy as np
import pytest

from ml.codes.rows import Rows
from ml.evaluation.validity.worlds import (
    BASE,
    FEW,
    MANY,
    MORE,
    NOISE,
    PATH,
    PERFECT,
    SIZES,
    STRENGTHS,
    WORLDS,
    noisy,
)

ROWS = 2160


def world(name: str, seed: int = 0) -> Rows:
    return WORLDS[name].make(seed, ROWS)


def correlations(rows: Rows) -> np.ndarray:
    """Of every code with every factor."""
    latents = rows.codes.shape[1]
    return np.corrcoef(rows.codes.T, rows.factors.T)[:latents, latents:]


def tells(codes: np.ndarray, factor: np.ndarray) -> bool:
    """Whether rows of equal codes have equal factors."""
    places = np.unique(codes.round(9), axis=0, return_inverse=True)[1]
    return len(np.unique(np.c_[places, factor], axis=0)) == places.max() + 1


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_a_function_of_its_seed(name: str) -> None:
    one, same, other = world(name), world(name), world(name, seed=1)
    assert np.array_equal(one.codes, same.codes) and np.array_equal(one.factors, same.factors)
    assert one.seed == 0 and not np.array_equal(one.factors, other.factors)


@pytest.mark.parametrize("name", WORLDS)
def test_posteriors_lie_around_the_codes(name: str) -> None:
    rows = world(name)
    assert rows.posteriors is not None and rows.posteriors.sample is not None
    deviations = rows.codes.std(0)
    expected = np.where(deviations > 0, deviations / 10, 1.0)
    assert np.allclose(np.exp(rows.posteriors.log_variance / 2), expected)
    drawn = (rows.posteriors.sample - rows.codes) / expected
    assert abs(drawn.mean()) < 0.2 and 0.9 < drawn.std() < 1.1


def test_perfect_codes_are_the_factors_of_whole_grids() -> None:
    rows = world(PERFECT)
    _, counts = np.unique(rows.factors, axis=0, return_counts=True)
    assert counts.tolist() == [6] * 360
    assert np.allclose(correlations(rows), np.eye(4))
    assert np.allclose(rows.codes.mean(0), 0) and np.allclose(rows.codes.std(0), 1)
    assert rows.factor_sizes == SIZES


@pytest.mark.parametrize("share", PATH)
def test_noise_makes_its_share_of_the_variance(share: float) -> None:
    rows = world(noisy(share))
    assert np.allclose(np.diag(correlations(rows)) ** 2, 1 - share, atol=0.05)
    assert np.allclose(rows.codes.var(0), 1, atol=0.1)


@pytest.mark.parametrize(("name", "changed"), [("pair rotated", 2), ("all rotated", 4)])
def test_a_rotation_keeps_distances_and_mixes_codes(name: str, changed: int) -> None:
    rows, perfect = world(name), world(PERFECT)
    assert np.allclose(rows.codes @ rows.codes.T, perfect.codes @ perfect.codes.T)
    known = np.abs(correlations(rows)).max(0)
    assert (known < 0.999).sum() == changed
    if changed == 2:
        assert np.allclose(known[:2], np.sqrt(0.5))


def test_a_merged_code_tells_two_factors() -> None:
    rows = world("merged")
    assert rows.codes.shape[1] == 3
    assert tells(rows.codes[:, :1], rows.factors[:, 0])
    assert tells(rows.codes[:, :1], rows.factors[:, 1])
    assert not tells(rows.factors[:, :1], rows.codes[:, 0])


def test_of_a_split_factor_two_codes_tell_it_and_neither_does() -> None:
    rows = world("split")
    for k, factor in enumerate(rows.factors.T):
        one, other = rows.codes[:, [2 * k]], rows.codes[:, [2 * k + 1]]
        assert tells(np.c_[one, other], factor)
        assert not tells(one, factor) and not tells(other, factor)


def test_an_angle_lies_on_a_circle() -> None:
    rows = world("circular")
    angle = np.arctan2(rows.codes[:, 4], rows.codes[:, 3]) % (2 * np.pi)
    assert np.allclose(angle / (2 * np.pi) * 6, rows.factors[:, 3])
    assert np.allclose((rows.codes[:, 3:] ** 2).sum(1), 2)


def test_codes_that_are_added_taken_or_changed() -> None:
    perfect, base = world(PERFECT).codes, world(BASE).codes
    assert np.array_equal(world("duplicated").codes, np.c_[perfect, perfect])
    assert np.array_equal(world("dropped").codes, perfect[:, 1:])
    assert np.array_equal(world("dead").codes, np.c_[base, np.zeros((ROWS, 4))])
    assert np.array_equal(np.sort(world("permuted").codes, axis=1), np.sort(base, axis=1))
    assert np.allclose(np.abs(np.corrcoef(world("rescaled").codes.T, base.T)[:4, 4:].diagonal()), 1)
    warped = world("warped")
    assert np.allclose(np.log(warped.codes), perfect) and not np.allclose(correlations(warped), 1)
    for number in MORE:
        rows = world(f"{number} more")
        assert np.array_equal(rows.codes[:, :4], perfect)
        assert rows.codes.shape[1] == 4 + number
        assert np.abs(correlations(rows)[4:]).max() < 0.1


def test_reordered_classes_are_the_same_classes() -> None:
    rows, base = world("reordered"), world(BASE)
    assert np.array_equal(rows.codes, base.codes)
    for one, other, size in zip(rows.factors.T, base.factors.T, SIZES, strict=True):
        assert len(np.unique(np.c_[one, other], axis=0)) == size
    assert not np.array_equal(rows.factors, base.factors)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_correlated_factor_follows_the_other_so_often(strength: float) -> None:
    rows = world(f"correlated {strength:.0%}")
    first, second = rows.factors[:, 0], rows.factors[:, 1]
    # It also meets the followed value by chance, once in four.
    follows = np.rint(first / 2 * 3) == second
    assert follows.mean() == pytest.approx(strength + (1 - strength) / 4, abs=0.03)
    assert np.allclose(correlations(rows).diagonal(), 1)
    assert abs(np.corrcoef(rows.factors.T)[0, 2]) < 0.05


@pytest.mark.parametrize(("name", "known"), [("unbalanced", 1.0), ("unbalanced noise", 0.0)])
def test_each_unbalanced_class_is_three_times_rarer(name: str, known: float) -> None:
    rows = world(name)
    # 1 / (1 + 1/3 + 1/9)
    assert np.mean(rows.factors[:, 0] == 0) == pytest.approx(9 / 13, abs=0.03)
    assert np.allclose(correlations(rows).diagonal(), known, atol=0.05)


def test_worlds_of_many_values_few_rows_and_continuous_factors() -> None:
    for values in MANY:
        rows = world(f"{values} values")
        assert len(np.unique(rows.factors[:, 3])) == values and len(rows) == ROWS
        assert np.allclose(correlations(rows).diagonal(), 1)
    for number in FEW:
        assert len(world(f"{number} rows")) == len(world(f"{number} rows of noise")) == number
        assert np.abs(correlations(world(f"{number} rows of noise"))).max() < 0.4
        assert np.allclose(correlations(world(f"{number} rows")).diagonal(), 1)
    rows = world("continuous")
    assert set(rows.factor_kinds) == {"continuous"} and len(np.unique(rows.factors[:, 0])) == ROWS
    assert np.allclose(correlations(rows).diagonal(), 1)
    assert np.abs(correlations(world(NOISE))).max() < 0.1
