from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from ml.objective import Batch, Loss, Objective
from ml.objectives._evidence import bernoulli_cross_entropy
from ml.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.registry import components, find

LATENTS = 3


class Linear:
    """Networks small enough to work with by hand: one matrix each way."""

    def __init__(self, seed: int = 0) -> None:
        draws = torch.Generator().manual_seed(seed)
        self.encoder = torch.randn(16, 2 * LATENTS, generator=draws, dtype=torch.float64) / 8
        self.decoder = torch.randn(LATENTS, 16, generator=draws, dtype=torch.float64)

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.encoder

    def decode(self, latents: Tensor) -> Tensor:
        return (latents @ self.decoder).reshape(-1, 1, 4, 4)

    def call(self, network: str, inputs: Tensor) -> Tensor:
        raise AssertionError(f"no network {network} here")


def loss(name: str, networks: Any = None, **params: Any) -> Loss:
    objective = find("objective", name).model_validate({"name": name, **params})
    assert isinstance(objective, Objective)
    draws = torch.Generator().manual_seed(1)
    images = torch.rand(5, 1, 4, 4, generator=draws, dtype=torch.float64)
    noise = {"noise": torch.randn(5, LATENTS, generator=draws, dtype=torch.float64)}
    weights = objective.coefficients(pixels=16, latents=LATENTS)
    coefficients = {key: torch.tensor(value) for key, value in weights.items()}
    (update,) = objective.updates()
    return update.loss(networks or Linear(), Batch((images,)), noise, coefficients, {})


def test_the_kl_of_a_diagonal_gaussian_is_torchs() -> None:
    head = torch.randn(6, 8, dtype=torch.float64)
    mean, log_variance = head.chunk(2, 1)
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), standard)
    torch.testing.assert_close(DiagonalGaussian().kl(head), expected)


def test_a_posterior_sample_has_the_posteriors_mean_and_deviation() -> None:
    head = torch.tensor([[2.0, -1.0, 0.0, 4.0]], dtype=torch.float64).expand(200_000, 4)
    sample = DiagonalGaussian().sample(head, torch.randn(200_000, 2, dtype=torch.float64))
    assert sample.mean(0).tolist() == pytest.approx([2.0, -1.0], abs=0.08)
    assert sample.std(0).tolist() == pytest.approx([1.0, 2.718281828**2], rel=0.02)


def test_the_reconstruction_is_the_bernoulli_log_likelihood_summed_over_pixels() -> None:
    logits = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    images = (torch.rand(4, 3, 5, 5) > 0.5).double()
    expected = -Independent(Bernoulli(logits=logits), 3).log_prob(images)
    torch.testing.assert_close(bernoulli_cross_entropy(logits, images), expected)


def test_a_batch_worked_by_hand() -> None:
    class Fixed:
        def encode(self, images: Tensor) -> Tensor:
            # mean 1, log-variance 0: KL = 0.5 (1 + 1 - 0 - 1) = 0.5 for each of 3 latents.
            return torch.cat([torch.ones(5, LATENTS), torch.zeros(5, LATENTS)], 1).double()

        def decode(self, latents: Tensor) -> Tensor:
            # Logits 0 cost log 2 a pixel whatever the image is.
            return torch.zeros(5, 1, 4, 4, dtype=torch.float64)

    found = loss("beta_vae", Fixed(), beta=4)
    assert found.terms["reconstruction"].item() == pytest.approx(16 * 0.6931471805599453)
    assert found.terms["kl_per_latent"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert found.value.item() == pytest.approx(16 * 0.6931471805599453 + 4 * 1.5)
    assert found.terms["elbo"].item() == pytest.approx(-(16 * 0.6931471805599453 + 1.5))


def test_beta_one_is_the_vae() -> None:
    assert torch.equal(loss("beta_vae", beta=1).value, loss("vae").value)


def test_beta_norm_is_beta_by_pixels_over_latents() -> None:
    normalised = loss("beta_vae", beta_norm=0.75).value
    torch.testing.assert_close(normalised, loss("beta_vae", beta=0.75 * 16 / LATENTS).value)


def test_beta_and_beta_norm_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        loss("beta_vae", beta=1, beta_norm=1)


@pytest.mark.parametrize("name", components("objective"))
def test_gradients_agree_with_finite_differences(name: str) -> None:
    networks = Linear()
    networks.encoder.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(name, networks).value, networks.encoder)
    step = 1e-6
    for place in ((0, 0), (7, 2), (15, 5)):
        shifted = []
        for sign in (1, -1):
            other = Linear()
            other.encoder[place] += sign * step
            shifted.append(loss(name, other).value.item())
        slope = (shifted[0] - shifted[1]) / (2 * step)
        assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-6)
