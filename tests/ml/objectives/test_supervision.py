"""Objectives that are given pairs or labels, against cases worked by hand."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy

from ml.objectives.protocol import Loss, Needs, Pairs, Step
from ml.objectives.semi_supervised import SemiSupervised
from ml.objectives.terms.shared_posteriors import (
    divergence,
    far_apart,
    mean_of_moments,
    mean_of_precisions,
)
from tests.ml.objectives.test_objectives import KL, LATENTS, RECONSTRUCTION, Fixed, Linear, made
from tests.ml.objectives.test_objectives import loss as loss_of
from tests.ml.objectives.test_objectives import step as step_of

PAIRED = ["ada_gvae", "ada_ml_vae"]


def double(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


class Heads(Linear):
    """Heads that are given by the first pixel: the head of this number, for every image."""

    def __init__(self, objective: Any, heads: Tensor) -> None:
        super().__init__(objective)
        self.heads = heads
        self.seen: list[Tensor] = []

    def encode(self, images: Tensor) -> Tensor:
        return self.heads[images[:, 0, 0, 0].long()]

    def reconstruction(self, latents: Tensor, images: Tensor) -> Tensor:
        self.seen.append(latents)
        return super().reconstruction(latents, images)


def of_pair(
    name: str, means: Tensor, variances: Tensor, **params: Any
) -> tuple[Loss, list[Tensor]]:
    """The loss of one pair with these posteriors, (2, latents), and its samples without noise."""
    objective = made(name, **params)
    networks = Heads(objective, torch.cat([means, variances.log()], dim=1))
    images = tuple(torch.full((1, 1, 4, 4), float(number)).double() for number in (0, 1))
    given = step_of(objective)
    zero = {noise: torch.zeros(1, means.shape[1]).double() for noise in given.draws}
    given = dataclasses.replace(
        given, images=images, inputs=images, draws=zero, changed=torch.tensor([[False, True]])
    )
    found = objective.without_numbers().loss(networks, given)
    return found, networks.seen


# Means 0 and 2, 0 and 2.5, 1 and 1.5. Variances 1 and 3, 1 and 1, 1 and 1.
MEANS = double([0.0, 0.0, 1.0], [2.0, 2.5, 1.5])
VARIANCES = double([1.0, 1.0, 1.0], [3.0, 1.0, 1.0])
# KL of the first to the second: (1 + 4) / 6 - 1/2 + log(3) / 2; 6.25 / 2; 0.25 / 2.
DISTANCES = [5 / 6 - 0.5 + math.log(3) / 2, 3.125, 0.125]


def test_the_distance_of_two_posteriors_is_torchs_divergence() -> None:
    given = (MEANS[:1], VARIANCES[:1].log(), MEANS[1:], VARIANCES[1:].log())
    found = divergence(*given)
    assert found[0].tolist() == pytest.approx(DISTANCES)
    one, other = (Normal(MEANS[k : k + 1], VARIANCES[k : k + 1].sqrt()) for k in (0, 1))
    torch.testing.assert_close(found, kl_divergence(one, other))


def test_latents_halfway_between_the_least_and_the_greatest_distance_are_far_apart() -> None:
    # Halfway: 3, 0.5 and 1.
    rows = double([1.0, 5.0, 2.9], [0.0, 1.0, 0.5], [1.0, 1.0, 1.0])
    assert far_apart(rows).tolist() == [
        [False, True, False],
        [False, True, True],
        [True, True, True],
    ]


def test_averages_of_two_posteriors_by_hand() -> None:
    given = (MEANS[:1], VARIANCES[:1].log(), MEANS[1:], VARIANCES[1:].log())
    mean, log_variance = mean_of_moments(*given)
    assert mean[0].tolist() == pytest.approx([1.0, 1.25, 1.25])
    assert log_variance.exp()[0].tolist() == pytest.approx([2.0, 1.0, 1.0])
    # 2 * 1 * 3 / 4 = 1.5, and (0 / 1 + 2 / 3) * 1.5 / 2 = 0.5.
    mean, log_variance = mean_of_precisions(*given)
    assert mean[0].tolist() == pytest.approx([0.5, 1.25, 1.25])
    assert log_variance.exp()[0].tolist() == pytest.approx([1.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "mean", "variance"), [("ada_gvae", 1.0, 2.0), ("ada_ml_vae", 0.5, 1.5)]
)
def test_a_pair_by_hand(name: str, mean: float, variance: float) -> None:
    # The second latent alone is at least halfway from 0.125 to 3.125. The first would be, too, if
    # the divergence were taken the other way round, which is (3 + 4 - 1 - log 3) / 2.
    found, (first, second) = of_pair(name, MEANS, VARIANCES, beta=3)
    assert first[0].tolist() == pytest.approx([mean, 0.0, 1.25])
    assert second[0].tolist() == pytest.approx([mean, 2.5, 1.25])
    kl = [
        0.5 * (mean**2 + variance - math.log(variance) - 1),
        0.5 * (0.5 * 0.0 + 0.5 * 6.25),
        0.5 * 1.25**2,
    ]
    assert found.terms["kl_per_latent"].tolist() == pytest.approx(kl)
    assert found.terms["shared_latents"].item() == 2
    networks = Linear(made(name))
    images = [torch.full((1, 1, 4, 4), float(number)).double() for number in (0, 1)]
    costs = [
        networks.reconstruction(latents, image).item()
        for latents, image in zip((first, second), images, strict=True)
    ]
    assert found.value.item() == pytest.approx(sum(costs) / 2 + 3 * sum(kl))


@pytest.mark.parametrize("name", PAIRED)
def test_known_factors_keep_their_latents_and_all_others_are_shared(name: str) -> None:
    # Of two factors the second differs. The third latent stands for no factor.
    found, (first, second) = of_pair(name, MEANS.flip(1), VARIANCES, known=True)
    assert first[0, 1] == 0 and second[0, 1] == 2.5
    assert torch.equal(first[0, [0, 2]], second[0, [0, 2]])
    assert found.terms["shared_latents"].item() == 2


@pytest.mark.parametrize("name", PAIRED)
def test_a_pair_of_one_image_costs_what_a_beta_vae_costs(name: str) -> None:
    objective = made(name, beta=3)
    networks, given = Linear(objective), step_of(objective)
    noise = given.draws["noise"]
    same: Step = dataclasses.replace(
        given,
        images=given.images[:1] * 2,
        inputs=given.images[:1] * 2,
        draws={"noise": noise, "second_noise": noise},
    )
    found = objective.loss(networks, same)
    expected = made("beta_vae", beta=3).loss(networks, same)
    torch.testing.assert_close(found.value, expected.value)
    for term in ("reconstruction", "kl", "elbo", "kl_per_latent"):
        torch.testing.assert_close(found.terms[term], expected.terms[term])


def test_supervision_by_hand() -> None:
    # The means are 1 for all latents, of which the first two have labels.
    found = loss_of("semi_supervised", Fixed, beta=2, weight=5)
    labels = step_of(made("semi_supervised")).labels
    assert labels is not None
    log_one, log_zero = -math.log(1 + math.exp(-1)), -math.log(1 + math.exp(1))
    by_hand = -(labels * log_one + (1 - labels) * log_zero).sum(1).mean().item()
    assert found.terms["supervised"].item() == pytest.approx(by_hand)
    assert found.value.item() == pytest.approx(RECONSTRUCTION + 2 * KL + 5 * by_hand)


def test_without_weight_the_supervised_loss_is_left_out() -> None:
    objective = made("semi_supervised", beta=3, weight=0)
    networks, given = Linear(objective), step_of(objective)
    expected = made("beta_vae", beta=3).loss(networks, given)
    assert torch.equal(objective.loss(networks, given).value, expected.value)


def test_a_linear_head_learns_from_means_that_get_no_gradient_from_it() -> None:
    objective = made("semi_supervised", head="linear", factors=["a", "b"], weight=5)
    assert isinstance(objective, SemiSupervised)

    class WithHead(Linear):
        def call(self, network: str, inputs: Tensor) -> Tensor:
            assert network == "head"
            return inputs @ self.others

    networks, given = WithHead(objective), step_of(objective)
    assert given.labels is not None
    means = networks.encode(given.images[1])[:, :LATENTS]
    by_hand = binary_cross_entropy((means @ networks.others).sigmoid(), given.labels) * 2
    found = objective.loss(networks, given)
    assert found.terms["supervised"].item() == pytest.approx(by_hand.item())
    assert [update.group for update in objective.updates()] == ["model", "head"]
    after = dataclasses.replace(given, carry=found.carry)
    assert objective.updates()[1].loss(networks, after).value.item() == pytest.approx(
        by_hand.item()
    )
    assert objective.extra_networks(7)["head"].weight.shape == (2, 7)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"head": "linear"}, "factors with head linear"),
        ({"factors": ["a", "a"]}, "differ from each other"),
    ],
)
def test_factors_that_do_not_fit_the_head_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made("semi_supervised", **params)


@pytest.mark.parametrize(
    ("needs", "factors", "said"),
    [
        (Needs(pairs=Pairs()), {}, "discrete factors alone, not none"),
        (Needs(pairs=Pairs()), {"a": "discrete", "b": "continuous"}, r"not a \(discrete\), b"),
        (Needs(pairs=Pairs(3)), {"a": "discrete", "b": "discrete"}, "changed of at most 2"),
        (Needs(pairs=Pairs(by_latent=True)), dict.fromkeys("abcd", "discrete"), "not 3 latents"),
        (made("semi_supervised").needs(), {}, "take several values, not none"),
        (made("semi_supervised", factors=["c"]).needs(), {"a": "discrete"}, "factors c that"),
        (made("semi_supervised").needs(), dict.fromkeys("abcd", "continuous"), "not 3 latents"),
    ],
)
def test_what_a_data_set_lacks_is_named(needs: Needs, factors: Any, said: str) -> None:
    found = needs.unmet(factors, LATENTS)
    assert found is not None
    assert re.search(said, found)


@pytest.mark.parametrize(
    "needs",
    [
        Needs(),
        Needs(pairs=Pairs(2, by_latent=True)),
        made("semi_supervised", factors=["b"]).needs(),
    ],
)
def test_a_data_set_that_lacks_nothing_is_taken(needs: Needs) -> None:
    assert needs.unmet({"a": "discrete", "b": "discrete"}, LATENTS) is None
