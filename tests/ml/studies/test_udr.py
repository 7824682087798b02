"""Likeness of models: cases worked by hand, and scikit-learn's Lasso as a witness."""

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from ml.studies.udr import UdrModel, lasso_coefficients, pair_likeness, udr

ROWS = 400


def orthonormal(latents: int, seed: int = 0) -> np.ndarray:
    """Codes with mean 0, deviation 1 and no correlation at all."""
    draws = np.random.default_rng(seed).normal(size=(ROWS, latents))
    basis, _ = np.linalg.qr(draws - draws.mean(axis=0))
    return basis * np.sqrt(ROWS)


def model(codes: np.ndarray, unused: tuple[int, ...] = ()) -> UdrModel:
    kl = np.ones_like(codes)
    kl[:, list(unused)] = 0.009
    return UdrModel(codes, kl)


@pytest.mark.parametrize(
    ("similarity", "likeness"),
    [
        (np.eye(3), 1.0),
        ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], 2 / 3),
        (np.ones((3, 3)), 1 / 3),
        (np.zeros((3, 3)), 0.0),
        (np.zeros((3, 0)), 0.0),
        # Columns: 1/1 and 0.25/0.5; the row: 1/1.5.
        ([[1, 0.5]], ((1 + 0.5) / 2 + 2 / 3) / 2),
    ],
)
def test_likeness_of_a_pair(similarity: object, likeness: float) -> None:
    assert pair_likeness(np.array(similarity, dtype=float)) == pytest.approx(likeness)


def test_models_that_differ_in_order_sign_and_scale_reach_one_less_the_penalty() -> None:
    codes = orthonormal(4)
    turned = 7 - 3 * codes[:, [2, 0, 3, 1]] * [1, -1, 1, -1]
    # Each coefficient is 1 - 0.1, so that 0.9^2 / 0.9 is left of each row and column.
    assert udr([model(codes), model(turned)]) == pytest.approx([0.9, 0.9])
    assert udr([model(codes), model(turned)], similarity="spearman") == pytest.approx(
        [0.9, 0.9], abs=0.1
    )


def test_ranks_are_blind_to_monotone_change() -> None:
    codes = np.random.default_rng(0).normal(size=(ROWS, 1))
    assert udr([model(codes), model(np.exp(-codes))], similarity="spearman") == pytest.approx(
        [1.0, 1.0]
    )


def test_codes_that_are_independent_are_not_alike() -> None:
    draws = np.random.default_rng(0)
    noise = [model(draws.normal(size=(20_000, 3))) for _ in range(3)]
    assert udr(noise) == [0.0, 0.0, 0.0]
    assert all(value is not None and value < 0.03 for value in udr(noise, similarity="spearman"))


def test_a_rotated_pair_by_hand() -> None:
    codes = orthonormal(2)
    turn = np.radians(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    # Coefficients are cosines and sines less 0.1, one of each in every row and column.
    large, small = np.cos(turn) - 0.1, np.sin(turn) - 0.1
    expected = large**2 / (large + small)
    assert udr([model(codes), model(codes @ rotation)]) == pytest.approx([expected] * 2)


def test_unused_latents_cost_nothing() -> None:
    codes = orthonormal(4)
    noise = np.random.default_rng(5).normal(size=(ROWS, 4))
    mixed = np.column_stack([noise[:, 0], codes[:, 0], noise[:, 1], codes[:, 1]])
    values = udr([model(codes, unused=(2, 3)), model(mixed, unused=(0, 2))])
    assert values == pytest.approx([0.9, 0.9])


def test_used_latents_that_nothing_answers_to_cost_their_share() -> None:
    codes = orthonormal(3)
    # A row without any likeness is 0 of three, and the two columns are 0.9.
    expected = (0.9 + 0.9 * 2 / 3) / 2
    assert udr([model(codes), model(codes[:, :2])]) == pytest.approx([expected] * 2)


def test_a_model_that_uses_no_latent_scores_0() -> None:
    codes = orthonormal(2)
    values = udr([model(codes), model(codes), model(codes, unused=(0, 1))])
    # The others: the median of 0.9 and 0.
    assert values == pytest.approx([0.45, 0.45, 0.0])


def test_the_value_is_the_median_over_the_others() -> None:
    codes = orthonormal(2)
    rotated = codes @ np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    alike = 0.9
    turned = (np.sqrt(0.5) - 0.1) / 2
    values = udr([model(codes), model(codes), model(codes), model(rotated)])
    assert values == pytest.approx([alike, alike, alike, turned])


def test_fewer_than_two_models_have_none() -> None:
    assert udr([]) == []
    assert udr([model(orthonormal(2))]) == [None]


def test_codes_that_are_not_finite_are_left_out() -> None:
    codes = orthonormal(2)
    broken = codes.copy()
    broken[3, 1] = np.nan
    assert udr([model(broken), model(codes)]) == [None, None]
    values = udr([model(codes), model(broken), model(codes)])
    assert values[1] is None
    assert [values[0], values[2]] == pytest.approx([0.9, 0.9])


def test_models_that_collapsed_onto_one_latent_are_as_alike_as_disentangled_ones() -> None:
    codes = orthonormal(5)
    assert udr([model(codes)] * 3) == pytest.approx([0.9] * 3)
    collapsed = model(codes, unused=(1, 2, 3, 4))
    assert udr([collapsed] * 3) == pytest.approx([0.9] * 3)
    # What tells them apart.
    assert [one.active.sum() for one in (model(codes), collapsed)] == [5, 1]


def test_without_a_kl_all_latents_that_vary_take_part() -> None:
    codes = np.column_stack([orthonormal(2), np.full(ROWS, 3.0)])
    none = UdrModel(codes, np.full_like(codes, np.nan))
    assert udr([none, none]) == pytest.approx([0.9, 0.9])
    assert none.active.tolist() == [True, True, False]


def published(models: list[UdrModel], similarity: str) -> list[float]:
    """The formula with scikit-learn and scipy, a pair at a time."""
    used = []
    for one in models:
        codes = one.codes[:, one.kl.mean(axis=0) > 0.01]
        used.append((codes - codes.mean(axis=0)) / codes.std(axis=0))
    values = []
    for column, of in enumerate(used):
        found = []
        for row, other in enumerate(used):
            if row == column:
                continue
            if similarity == "lasso":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fit = Lasso(alpha=0.1, tol=1e-10, max_iter=100_000).fit(other, of)
                matrix = np.abs(fit.coef_.reshape(of.shape[1], -1).T)
            else:
                matrix = np.array([[abs(spearmanr(a, b).statistic) for b in of.T] for a in other.T])
            ends = [
                np.nan_to_num(
                    matrix.max(axis) ** 2 / np.where(matrix.sum(axis), matrix.sum(axis), 1)
                )
                for axis in (0, 1)
            ]
            found.append((ends[0].mean() + ends[1].mean()) / 2)
        values.append(float(np.median(found)))
    return values


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_it_is_the_formula_with_scikit_learns_lasso_on_entangled_codes(similarity: str) -> None:
    draws = np.random.default_rng(3)
    factors = draws.normal(size=(ROWS, 3))
    models = [
        model(factors @ draws.normal(size=(3, latents)) + 0.3 * draws.normal(size=(ROWS, latents)))
        for latents in (4, 4, 5, 3)
    ]
    assert udr(models, similarity=similarity) == pytest.approx(  # type: ignore[arg-type]
        published(models, similarity), abs=1e-3
    )


def test_lasso_is_scikit_learns_where_inputs_are_correlated() -> None:
    draws = np.random.default_rng(1)
    inputs = draws.normal(size=(300, 6)) @ draws.normal(size=(6, 6))
    targets = inputs @ draws.normal(size=(6, 4)) + draws.normal(size=(300, 4))
    inputs, targets = inputs - inputs.mean(0), targets - targets.mean(0)
    expected = Lasso(alpha=0.1, tol=1e-10, max_iter=100_000).fit(inputs, targets).coef_.T
    found = lasso_coefficients(inputs.T @ inputs / 300, inputs.T @ targets / 300)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert ((expected == 0) == (found == 0)).all()
