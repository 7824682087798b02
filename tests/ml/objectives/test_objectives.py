"""Objectives on networks small enough to work with by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from ml.components.registry import components, find
from ml.objectives import factor_vae
from ml.objectives.likelihood import negative_log_likelihood
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.posteriors.point import Point
from ml.objectives.protocol import Loss, Objective, Step
from ml.objectives.terms.discrepancy import squared_discrepancy
from ml.optimizers.adam import Adam

LATENTS, SAMPLES, PIXELS, POPULATION = 3, 5, 16, 100


class Linear:
    """One matrix each way, and one for every network of the objective."""

    def __init__(self, objective: Objective, seed: int = 0) -> None:
        draws = torch.Generator().manual_seed(seed)
        heads = objective.posterior.numbers_per_latent * LATENTS
        self.encoder = torch.randn(PIXELS, heads, generator=draws, dtype=torch.float64) / 8
        self.decoder = torch.randn(LATENTS, PIXELS, generator=draws, dtype=torch.float64)
        self.others = torch.randn(LATENTS, 2, generator=draws, dtype=torch.float64)

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.encoder

    def decode(self, latents: Tensor) -> Tensor:
        return (latents @ self.decoder).reshape(-1, 1, 4, 4)

    def reconstruction(self, latents: Tensor, images: Tensor) -> Tensor:
        return negative_log_likelihood(self.decode(latents), images, "bernoulli")

    def call(self, network: str, inputs: Tensor) -> Tensor:
        assert network in ("discriminator",)
        return inputs @ self.others


class Fixed(Linear):
    """Means 1, log-variances 0, logits 0, whatever the images are."""

    def encode(self, images: Tensor) -> Tensor:
        head = torch.ones(len(images), self.encoder.shape[1], dtype=torch.float64)
        head[:, LATENTS:] = 0
        return head

    def decode(self, latents: Tensor) -> Tensor:
        return torch.zeros(len(latents), 1, 4, 4, dtype=torch.float64)


def made(name: str, **params: Any) -> Objective:
    objective = find("objective", name).model_validate({"name": name, **params})
    assert isinstance(objective, Objective)
    return objective


def step(objective: Objective, at: int = 0, **carry: Tensor) -> Step:
    """Images, draws and coefficients in double precision."""
    draws = torch.Generator().manual_seed(1)
    needs = objective.needs()
    images = tuple(
        torch.rand(SAMPLES, 1, 4, 4, generator=draws, dtype=torch.float64)
        for _ in range(needs.all_batches)
    )
    drawn = {
        name: torch.randn(SAMPLES, LATENTS, generator=draws, dtype=torch.float64)
        if draw.distribution == "normal"
        else torch.stack([torch.randperm(SAMPLES, generator=draws) for _ in range(LATENTS)], 1)
        for name, draw in needs.draws.items()
    }
    numbers = objective.coefficients(pixels=PIXELS, latents=LATENTS)
    coefficients = {
        name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()
    }
    done = torch.tensor(float(at), dtype=torch.float64)
    factors = torch.rand(SAMPLES, 2, generator=draws, dtype=torch.float64)
    supervision: dict[str, Tensor] = {}
    if needs.pairs is not None:
        supervision["changed"] = factors > 0.5
    if needs.labels is not None:
        supervision["labels"] = factors
    return Step(images, POPULATION, drawn, coefficients, done, carry, **supervision)


def loss(
    name: str, networks: type[Linear] | Linear = Linear, *, at: int = 0, **params: Any
) -> Loss:
    objective = made(name, **params)
    bound = networks(objective) if isinstance(networks, type) else networks
    return objective.without_numbers().loss(bound, step(objective, at))


# Each number that a loss may have, away from its default.
VARIED: dict[str, dict[str, Any]] = {
    "beta_vae": {"beta": 2.5},
    "annealed_vae": {"capacity": 2.0, "gamma": 7.0, "anneal_steps": 4},
    "beta_tcvae": {"alpha": 0.5, "beta": 3.0, "gamma": 2.0},
    "factor_vae": {"gamma": 5.0},
    "dip_vae_i": {"lambda_od": 3.0, "lambda_d": 4.0},
    "dip_vae_ii": {"lambda_od": 3.0, "lambda_d": 4.0},
    "info_vae": {"alpha": 0.3, "lambda_": 9.0},
    "wae_mmd": {"lambda_": 9.0},
    "ada_gvae": {"beta": 2.5},
    "ada_ml_vae": {"beta": 2.5},
    "semi_supervised": {"beta": 2.5, "weight": 9.0},
}


@pytest.mark.parametrize("name", components("objective"))
def test_a_loss_takes_its_numbers_from_its_coefficients_alone(name: str) -> None:
    # `loss` above calls it on a component whose own numbers are NaN.
    default, varied = loss(name).value, loss(name, at=1, **VARIED.get(name, {})).value
    assert default.isfinite() and varied.isfinite()
    if name in VARIED:
        assert varied != default


def test_every_objective_with_numbers_is_varied_here() -> None:
    with_numbers = {
        name
        for name, component in components("objective").items()
        if made(name).coefficients(pixels=PIXELS, latents=LATENTS) and component
    }
    assert with_numbers == set(VARIED)


@pytest.mark.parametrize("name", components("objective"))
def test_gradients_agree_with_finite_differences(name: str) -> None:
    objective = made(name, **VARIED.get(name, {}))
    networks = Linear(objective)
    networks.encoder.requires_grad_()
    given = step(objective, at=1)
    (gradient,) = torch.autograd.grad(objective.loss(networks, given).value, networks.encoder)
    difference = 1e-6
    for place in ((0, 0), (7, 2), (15, networks.encoder.shape[1] - 1)):
        shifted = []
        for sign in (1, -1):
            other = Linear(objective)
            other.encoder[place] += sign * difference
            shifted.append(objective.loss(other, given).value.item())
        slope = (shifted[0] - shifted[1]) / (2 * difference)
        assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", components("objective"))
def test_every_objective_logs_its_terms(name: str) -> None:
    terms = loss(name).terms
    assert all(values.shape in ((), (LATENTS,)) for values in terms.values())
    if made(name).posterior.kl(torch.zeros(1, 2 * LATENTS)) is None:
        assert "kl" not in terms and "elbo" not in terms
    else:
        assert terms["kl_per_latent"].shape == (LATENTS,)
        assert terms["kl"].item() == pytest.approx(terms["kl_per_latent"].sum().item())
        assert terms["elbo"].item() == pytest.approx(
            -(terms["reconstruction"] + terms["kl"]).item()
        )


# Posteriors and likelihoods against torch's own distributions.


def test_the_kl_of_a_diagonal_gaussian_is_torchs() -> None:
    head = torch.randn(6, 8, dtype=torch.float64)
    mean, log_variance = head.chunk(2, 1)
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), standard)
    torch.testing.assert_close(DiagonalGaussian().kl(head), expected)


def test_a_posterior_sample_has_the_posteriors_mean_and_deviation() -> None:
    head = torch.tensor([[2.0, -1.0, 0.0, 4.0]], dtype=torch.float64).expand(200_000, 4)
    noise = torch.randn(200_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sample = DiagonalGaussian().sample(head, noise)
    assert sample.mean(0).tolist() == pytest.approx([2.0, -1.0], abs=0.08)
    assert sample.std(0).tolist() == pytest.approx([1.0, 2.718281828**2], rel=0.02)


def test_a_point_is_its_own_sample_and_has_no_kl() -> None:
    head = torch.randn(4, LATENTS)
    posterior = Point()
    assert torch.equal(posterior.mean(head), head)
    assert torch.equal(posterior.sample(head, torch.randn(4, LATENTS)), head)
    assert posterior.kl(head) is None
    assert (posterior.log_variance(head) == -math.inf).all()


def test_the_bernoulli_reconstruction_is_torchs_log_likelihood_summed_over_pixels() -> None:
    logits = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    images = (torch.rand(4, 3, 5, 5) > 0.5).double()
    expected = -Independent(Bernoulli(logits=logits), 3).log_prob(images)
    torch.testing.assert_close(negative_log_likelihood(logits, images, "bernoulli"), expected)


@pytest.mark.parametrize("deviation", [1.0, 0.1])
def test_the_gaussian_reconstruction_is_torchs_log_likelihood_summed_over_pixels(
    deviation: float,
) -> None:
    logits = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    images = torch.rand(4, 3, 5, 5, dtype=torch.float64)
    expected = -Independent(Normal(logits.sigmoid(), deviation), 3).log_prob(images)
    found = negative_log_likelihood(logits, images, "gaussian", deviation)
    torch.testing.assert_close(found, expected)


# Batches worked by hand: means 1 and variances 1 for each of three latents, logits 0.

RECONSTRUCTION = PIXELS * 0.6931471805599453  # Logits 0 cost log 2 a pixel whatever the image is.
KL = LATENTS * 0.5  # 0.5 (1 + 1 - 0 - 1) for each latent.


def test_beta_vae_by_hand() -> None:
    found = loss("beta_vae", Fixed, beta=4)
    assert found.terms["reconstruction"].item() == pytest.approx(RECONSTRUCTION)
    assert found.terms["kl_per_latent"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert found.value.item() == pytest.approx(RECONSTRUCTION + 4 * KL)
    assert found.terms["elbo"].item() == pytest.approx(-(RECONSTRUCTION + KL))


@pytest.mark.parametrize(
    ("at", "capacity"), [(0, 0.0), (250, 1.0), (500, 2.0), (1000, 4.0), (9999, 4.0)]
)
def test_annealed_vae_by_hand(at: int, capacity: float) -> None:
    found = loss("annealed_vae", Fixed, at=at, capacity=4, gamma=10, anneal_steps=1000)
    assert found.terms["capacity"].item() == pytest.approx(capacity)
    assert found.value.item() == pytest.approx(RECONSTRUCTION + 10 * abs(KL - capacity))


def test_the_dip_vaes_by_hand() -> None:
    # All means are the same, so their covariance is 0 and its diagonal costs 1 a latent. With
    # the posteriors' variances of 1 it is the identity, which costs nothing.
    one = loss("dip_vae_i", Fixed, lambda_od=2, lambda_d=7)
    assert one.value.item() == pytest.approx(RECONSTRUCTION + KL + 7 * LATENTS)
    two = loss("dip_vae_ii", Fixed, lambda_od=2, lambda_d=7)
    assert two.value.item() == pytest.approx(RECONSTRUCTION + KL)


def test_ae_by_hand() -> None:
    found = loss("ae", Fixed)
    assert found.value.item() == pytest.approx(RECONSTRUCTION)
    assert set(found.terms) == {"reconstruction"}


# Members of the family that are each other.

SAME_AS_VAE: dict[str, dict[str, Any]] = {
    "beta_vae": {"beta": 1},
    "beta_tcvae": {"alpha": 1, "beta": 1, "gamma": 1},
    "factor_vae": {"gamma": 0},
    "dip_vae_i": {"lambda_od": 0, "lambda_d": 0},
    "dip_vae_ii": {"lambda_od": 0, "lambda_d": 0},
    "info_vae": {"alpha": 0, "lambda_": 1},
}


@pytest.mark.parametrize("name", SAME_AS_VAE)
def test_the_family_meets_in_the_vae(name: str) -> None:
    assert torch.equal(loss(name, **SAME_AS_VAE[name]).value, loss("vae").value)


@pytest.mark.parametrize("estimator", ["minibatch", "mws", "mss"])
def test_beta_tcvae_of_ones_is_the_vae_with_every_estimator(estimator: str) -> None:
    ones = loss("beta_tcvae", alpha=1, beta=1, gamma=1, estimator=estimator)
    assert torch.equal(ones.value, loss("vae").value)


def test_wae_without_its_discrepancy_is_the_autoencoder() -> None:
    assert torch.equal(loss("wae_mmd", lambda_=0).value, loss("ae").value)


def test_annealed_vae_without_weight_is_the_reconstruction() -> None:
    found = loss("annealed_vae", gamma=0)
    assert torch.equal(found.value, found.terms["reconstruction"])


def test_beta_norm_is_beta_by_pixels_over_latents() -> None:
    normalised = loss("beta_vae", beta_norm=0.75).value
    torch.testing.assert_close(normalised, loss("beta_vae", beta=0.75 * PIXELS / LATENTS).value)


@pytest.mark.parametrize("weight", ["alpha", "beta", "gamma"])
def test_each_weight_of_beta_tcvae_weighs_its_own_term(weight: str) -> None:
    term = {"alpha": "mutual_information", "beta": "total_correlation"}.get(
        weight, "dimension_wise_kl"
    )
    ones: dict[str, Any] = {"alpha": 1, "beta": 1, "gamma": 1}
    more, less = loss("beta_tcvae", **ones | {weight: 3}), loss("beta_tcvae", **ones)
    assert (more.value - less.value).item() == pytest.approx(2 * more.terms[term].item())


def test_the_discriminators_ratio_is_what_factor_vae_weighs() -> None:
    more, less = loss("factor_vae", gamma=5), loss("factor_vae", gamma=2)
    networks = Linear(made("factor_vae"))
    logits = more.carry["latents"] @ networks.others
    correlation = (logits[:, 0] - logits[:, 1]).mean()
    assert more.terms["total_correlation"].item() == pytest.approx(correlation.item())
    assert (more.value - less.value).item() == pytest.approx(3 * correlation.item())


def test_info_vae_is_its_terms_by_their_weights() -> None:
    objective = made("info_vae", alpha=0.3, lambda_=9.0, kernel="imq")
    networks, given = Linear(objective), step(objective)
    mean, log_variance = networks.encode(given.images[0]).chunk(2, 1)
    latents = mean + (0.5 * log_variance).exp() * given.draws["noise"]
    reconstruction = networks.reconstruction(latents, given.images[0]).mean()
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), standard).sum(1).mean()
    discrepancy = squared_discrepancy(latents, given.draws["prior"], "imq")
    expected = reconstruction + (1 - 0.3) * kl + (0.3 + 9 - 1) * discrepancy
    assert objective.loss(networks, given).value.item() == pytest.approx(expected.item())


def test_a_schedule_of_info_vaes_weights_never_rewards_distance_from_the_prior() -> None:
    objective = made("info_vae", alpha=0, lambda_=9.0)
    given = step(objective)
    begun = {**given.coefficients, "lambda_": torch.tensor(0.0).double()}
    found = objective.loss(Linear(objective), dataclasses.replace(given, coefficients=begun))
    assert torch.equal(found.value, loss("vae").value)


def test_wae_is_its_terms_by_their_weights() -> None:
    objective = made("wae_mmd", lambda_=9.0)
    networks, given = Linear(objective), step(objective)
    codes = networks.encode(given.images[0])
    reconstruction = networks.reconstruction(codes, given.images[0]).mean()
    discrepancy = squared_discrepancy(codes, given.draws["prior"], "imq")
    expected = reconstruction + 9 * discrepancy
    assert objective.loss(networks, given).value.item() == pytest.approx(expected.item())


# The discriminator.


@pytest.fixture(params=["same_batch", "second_batch"])
def permuted(request: pytest.FixtureRequest) -> tuple[Loss, Tensor, Tensor]:
    """The discriminator's loss, with its logits for either class as they are made by hand."""
    objective = made("factor_vae", permute=request.param)
    assert isinstance(objective, factor_vae.FactorVAE)
    networks = Linear(objective)
    joint = torch.randn(SAMPLES, LATENTS, dtype=torch.float64)
    given = step(objective, latents=joint)
    others = joint
    if request.param == "second_batch":
        head = networks.encode(given.images[1])
        others = objective.posterior.sample(head, given.draws["second_noise"])
    columns = [others[given.draws["order"][:, k], k] for k in range(LATENTS)]
    found = objective.discriminator_loss(networks, given)
    return found, joint @ networks.others, torch.stack(columns, 1) @ networks.others


def test_the_discriminator_learns_by_half_the_cross_entropy_of_either_class(
    permuted: tuple[Loss, Tensor, Tensor],
) -> None:
    found, of_joint, of_permuted = permuted
    cross_entropy = torch.nn.functional.cross_entropy
    zeros, ones = torch.zeros(SAMPLES).long(), torch.ones(SAMPLES).long()
    expected = 0.5 * (cross_entropy(of_joint, zeros) + cross_entropy(of_permuted, ones))
    assert found.value.item() == pytest.approx(expected.item())


def test_its_accuracy_is_the_share_of_both_classes_told_apart(
    permuted: tuple[Loss, Tensor, Tensor],
) -> None:
    found, of_joint, of_permuted = permuted
    right = (of_joint.argmax(1) == 0).sum() + (of_permuted.argmax(1) == 1).sum()
    assert found.terms["discriminator_accuracy"].item() == pytest.approx(
        right.item() / (2 * SAMPLES)
    )


def test_the_discriminator_has_the_protocols_optimizer_at_its_own_rate() -> None:
    optimizers = made("factor_vae", discriminator_learning_rate=3e-5).optimizers()
    assert optimizers == {"discriminator": Adam(learning_rate=3e-5, betas=(0.5, 0.9), eps=1e-8)}


def test_the_discriminator_has_six_layers_of_a_thousand() -> None:
    network = made("factor_vae").extra_networks(10)["discriminator"]
    by_hand = (10 * 1000 + 1000) + 5 * (1000 * 1000 + 1000) + (1000 * 2 + 2)
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand
    slopes = [
        layer.negative_slope for layer in network.modules() if hasattr(layer, "negative_slope")
    ]
    assert slopes == [0.2] * 6


# Params.


def test_beta_and_beta_norm_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        made("beta_vae", beta=1, beta_norm=1)


@pytest.mark.parametrize(("name", "multiple"), [("dip_vae_i", 10), ("dip_vae_ii", 1)])
def test_lambda_d_follows_lambda_od_as_in_the_study(name: str, multiple: float) -> None:
    assert made(name, lambda_od=5).coefficients(pixels=1, latents=1) == {
        "lambda_od": 5,
        "lambda_d": 5 * multiple,
    }
    assert made(name, lambda_od=5, lambda_d=3).coefficients(pixels=1, latents=1)["lambda_d"] == 3


def test_a_reward_for_distance_from_the_prior_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"alpha \+ lambda_ of at least 1"):
        made("info_vae", alpha=0.5, lambda_=0.03)
