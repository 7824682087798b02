"""The maximum mean discrepancy against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ml.objectives.terms.covariance import covariance, penalties
from ml.objectives.terms.discrepancy import SCALES, Kernel, kernel_matrix, squared_discrepancy


def normal(
    samples: int, latents: int, seed: int, mean: float = 0.0, deviation: float = 1.0
) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return mean + deviation * torch.randn(samples, latents, generator=draws, dtype=torch.float64)


def expected_kernel(latents: int, difference: float, variances: float) -> float:
    """E exp(-||x - y||^2 / 2D) where x - y has this mean and variance in each latent."""
    squared_width = latents
    ratio = squared_width / (squared_width + variances)
    return ratio ** (latents / 2) * math.exp(
        -latents * difference**2 / (2 * (squared_width + variances))
    )


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.7, 1.0), (0.0, 0.3), (-0.5, 1.6)])
def test_the_discrepancy_of_two_gaussians_is_its_closed_form(mean: float, deviation: float) -> None:
    latents, variance = 3, deviation**2
    expected = (
        expected_kernel(latents, 0, 2 * variance)
        + expected_kernel(latents, 0, 2)
        - 2 * expected_kernel(latents, mean, variance + 1)
    )
    found = torch.stack(
        [
            squared_discrepancy(
                normal(150, latents, 2 * k, mean, deviation), normal(150, latents, 2 * k + 1), "rbf"
            )
            for k in range(200)
        ]
    )
    # The estimate is unbiased: the mean of many is the closed form.
    error = found.std() / len(found) ** 0.5
    assert error < 2e-3
    assert abs(found.mean() - expected) < 4 * error


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_samples_of_one_distribution_have_none_on_average(kernel: Kernel) -> None:
    # Small samples, where an estimate with the diagonal would be far above zero.
    found = [
        squared_discrepancy(normal(8, 4, 2 * k), normal(8, 4, 2 * k + 1), kernel).item()
        for k in range(400)
    ]
    mean = sum(found) / len(found)
    deviation = (sum((value - mean) ** 2 for value in found) / len(found)) ** 0.5
    assert abs(mean) < 4 * deviation / len(found) ** 0.5
    assert min(found) < 0 < max(found)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_it_grows_as_samples_move_apart(kernel: Kernel) -> None:
    found = [
        squared_discrepancy(normal(200, 2, 0, shift), normal(200, 2, 1), kernel).item()
        for shift in (0.0, 0.5, 1.0, 2.0)
    ]
    assert found == sorted(found) and found[-1] > 0.2


def test_two_pairs_worked_by_hand() -> None:
    one = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    other = torch.tensor([[1.0], [1.0]], dtype=torch.float64)
    # One latent: k = exp(-d^2 / 2). Within: exp(-2) and 1; between: exp(-1/2) always.
    expected = math.exp(-2) + 1 - 2 * math.exp(-0.5)
    assert squared_discrepancy(one, other, "rbf").item() == pytest.approx(expected)
    # C = 2 s: the sum over s of 2s / (2s + d^2).
    by_hand = [sum(2 * s / (2 * s + squared) for s in SCALES) for squared in (4, 0, 1)]
    expected = by_hand[0] + by_hand[1] - 2 * by_hand[2]
    assert squared_discrepancy(one, other, "imq").item() == pytest.approx(expected)


def test_kernels_widen_with_the_number_of_latents() -> None:
    one = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    other = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64)
    # Three latents at a squared distance of 5: 2D = 6.
    assert kernel_matrix(one, other, "rbf").item() == pytest.approx(math.exp(-5 / 6))
    by_hand = sum(6 * s / (6 * s + 5) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    assert kernel_matrix(one, other, "imq").item() == pytest.approx(by_hand)


def test_kernels_are_greatest_at_no_distance() -> None:
    rows = normal(5, 3, 0)
    greatest: dict[Kernel, float] = {"rbf": 1.0, "imq": float(len(SCALES))}
    for kernel, most in greatest.items():
        matrix = kernel_matrix(rows, rows, kernel)
        torch.testing.assert_close(matrix.diagonal(), torch.full((5,), most).double())
        assert (matrix <= most).all()


def test_the_covariance_is_numpys_with_the_batch_as_divisor() -> None:
    rows = normal(7, 3, 0)
    torch.testing.assert_close(covariance(rows), torch.cov(rows.T, correction=0))


def test_penalties_of_a_matrix_worked_by_hand() -> None:
    matrix = torch.tensor([[1.5, 0.2, 0.0], [0.2, 1.0, -0.3], [0.0, -0.3, 0.0]]).double()
    found = penalties(matrix)
    assert found.off_diagonal.item() == pytest.approx(2 * (0.04 + 0.09))
    assert found.diagonal.item() == pytest.approx(0.25 + 0 + 1)
