"""The decomposed KL: total correlation of a Gaussian whose truth is known, and the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.terms.kl_parts import (
    Estimator,
    KLParts,
    gaussian_log_density,
    kl_parts,
    log_weights,
)
from tests.ml.golden import FOLDER, PROBLEMS

POPULATION, LATENTS, CORRELATION = 20_000, 2, 0.72
TRUE = -0.5 * math.log(1 - CORRELATION**2)


def estimated(estimator: Estimator, batch: int, *, correlation: float = CORRELATION) -> KLParts:
    """Parts of a population whose q(z) is a Gaussian of unit variances with this correlation."""
    draws = torch.Generator().manual_seed(batch)
    # Means of variance 0.75 and posteriors of variance 0.25.
    spread = 0.75 * torch.eye(2, dtype=torch.float64)
    spread[0, 1] = spread[1, 0] = correlation
    root = torch.linalg.cholesky(spread)
    mean = torch.randn(batch, LATENTS, generator=draws, dtype=torch.float64) @ root.T
    log_variance = torch.full_like(mean, math.log(0.25))
    noise = torch.randn(batch, LATENTS, generator=draws, dtype=torch.float64)
    latents = mean + 0.5 * noise
    return kl_parts(latents, mean, log_variance, population=POPULATION, estimator=estimator)


def total_correlation(estimator: Estimator, batch: int) -> float:
    return float(estimated(estimator, batch).total_correlation)


def test_stratified_sampling_converges_to_the_true_total_correlation() -> None:
    assert pytest.approx(0.365, abs=1e-3) == TRUE
    errors = [abs(total_correlation("mss", batch) - TRUE) for batch in (64, 4096)]
    assert errors[1] < 0.02 < errors[0]


def test_weighted_sampling_is_off_by_the_logarithm_of_the_population() -> None:
    # (D - 1) log N, as 1 / (N B) takes each sum of B terms for one of N B.
    found = total_correlation("mws", 2048)
    assert found == pytest.approx(TRUE + (LATENTS - 1) * math.log(POPULATION), abs=0.05)


def test_the_studys_estimate_is_off_by_the_logarithm_of_the_batch() -> None:
    found = total_correlation("minibatch", 2048)
    assert found == pytest.approx(TRUE - (LATENTS - 1) * math.log(2048), abs=0.05)


@pytest.mark.parametrize(("estimator", "constant"), [("minibatch", 32), ("mws", 1 / POPULATION)])
def test_taking_off_its_constant_makes_no_estimate_of_the_truth(
    estimator: Estimator, constant: float
) -> None:
    # Ten independent latents, whose total correlation is 0, and posteriors of variance 0.05.
    batch, latents = 32, 10
    draws = torch.Generator().manual_seed(0)
    mean, noise = torch.randn(2, 20, batch, latents, generator=draws, dtype=torch.float64)
    mean *= math.sqrt(0.95)
    log_variance = torch.full((batch, latents), math.log(0.05), dtype=torch.float64)
    found = [
        kl_parts(
            means + math.sqrt(0.05) * drawn,
            means,
            log_variance,
            population=POPULATION,
            estimator=estimator,
        ).total_correlation.item()
        for means, drawn in zip(mean, noise, strict=True)
    ]
    assert np.mean(found) + (latents - 1) * math.log(constant) > 5


def test_independent_latents_have_no_total_correlation() -> None:
    assert float(estimated("mss", 2048, correlation=0.0).total_correlation) == pytest.approx(
        0, abs=0.02
    )


@pytest.mark.parametrize("estimator", ["minibatch", "mws", "mss"])
def test_the_parts_add_up_to_the_sampled_kl(estimator: Estimator) -> None:
    draws = torch.Generator().manual_seed(0)
    mean, log_variance, noise = (
        torch.randn(6, 3, generator=draws, dtype=torch.float64) for _ in range(3)
    )
    latents = mean + (0.5 * log_variance).exp() * noise
    sampled = gaussian_log_density(latents, mean, log_variance) - gaussian_log_density(
        latents, torch.zeros_like(latents), torch.zeros_like(latents)
    )
    parts = kl_parts(latents, mean, log_variance, population=50, estimator=estimator)
    assert sum(parts).item() == pytest.approx(sampled.sum(1).mean().item())


def test_two_samples_worked_by_hand() -> None:
    # Posteriors N(0, 1) and N(2, 1), each at its mean; one latent has no total correlation.
    mean = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    parts = kl_parts(mean, mean, torch.zeros_like(mean), population=10, estimator="mss")
    # Weights (own, other) = (1/10, 9/10): M = 1, so that the other has (N - M) / (N M) = 9/10.
    log_own, log_other = -0.5 * math.log(2 * math.pi), -0.5 * math.log(2 * math.pi) - 2
    log_q = math.log(0.1 * math.exp(log_own) + 0.9 * math.exp(log_other))
    assert parts.mutual_information.item() == pytest.approx(log_own - log_q)
    assert parts.total_correlation.item() == pytest.approx(0, abs=1e-12)
    # log p(0) and log p(2).
    assert parts.dimension_wise_kl.item() == pytest.approx(log_q - (log_own - 1))


def test_log_densities_are_torchs() -> None:
    value, mean, log_variance = torch.randn(3, 7, dtype=torch.float64)
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(value)
    torch.testing.assert_close(gaussian_log_density(value, mean, log_variance), expected)


def weights(batch: int, population: int) -> Tensor:
    return log_weights("mss", batch, population).exp()


@pytest.mark.parametrize(("batch", "population"), [(2, 10), (5, 100), (64, 737_280), (8, 8)])
def test_rows_of_the_stratified_weights_sum_to_one(batch: int, population: int) -> None:
    torch.testing.assert_close(weights(batch, population).sum(1), torch.ones(batch).double())


def test_a_samples_own_posterior_weighs_one_over_the_population() -> None:
    found = weights(5, 100)
    torch.testing.assert_close(found.diagonal(), torch.full((5,), 1 / 100).double())
    # With M = 4 others: one at (100 - 4) / (100 * 4), the rest at 1/4.
    for row, own in zip(found, range(5), strict=True):
        others = sorted(float(weight) for k, weight in enumerate(row) if k != own)
        assert others == pytest.approx([0.24, 0.25, 0.25, 0.25])


def test_a_batch_larger_than_the_population_is_averaged() -> None:
    torch.testing.assert_close(weights(9, 8), torch.full((9, 9), 1 / 9).float())


POSTERIORS = ("p01_perfect_lattice", "p03_linmix", "p05_warp_circular")


@pytest.mark.parametrize("problem", POSTERIORS)
def test_a_whole_populations_parts_are_those_of_the_authors_code(problem: str) -> None:
    published = PROBLEMS[problem]["keys"]["chen.elbo_decomposition.fixed_sample"]["scores"]
    with np.load(FOLDER / f"{problem}.npz") as stored:
        mean, log_variance, latents = (
            torch.from_numpy(stored[f"posterior_{name}"]).float()
            for name in ("mean", "logvar", "sample")
        )
    # A batch of all images is averaged, which is q(z) itself.
    parts = kl_parts(latents, mean, log_variance, population=1, estimator="mss")
    # Theirs takes E log q(z|x) and E log p(z) in closed form where ours takes those of the samples.
    conditional = -0.5 * (math.log(2 * math.pi) + 1 + log_variance)
    prior = -0.5 * (math.log(2 * math.pi) + mean.square() + log_variance.exp())
    sampled = gaussian_log_density(latents, mean, log_variance)
    sampled_prior = gaussian_log_density(latents, 0 * mean, 0 * mean)
    found = {
        "total_correlation": parts.total_correlation,
        "mutual_information": parts.mutual_information + (conditional - sampled).sum(1).mean(),
        "dimension_wise_kl": parts.dimension_wise_kl - (prior - sampled_prior).sum(1).mean(),
    }
    for name, value in found.items():
        assert float(value) == pytest.approx(published[name]["value"], abs=1e-3)
    kl = DiagonalGaussian().kl(torch.cat([mean, log_variance], 1)).sum(1).mean()
    assert float(kl) == pytest.approx(published["analytic_kl"]["value"], abs=1e-3)
