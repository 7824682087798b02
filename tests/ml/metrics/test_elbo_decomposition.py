"""The KL's parts: closed forms, the identity, and what each estimator is known to give."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows, UnusableRows
from ml.components.spec_errors import InvalidSpec
from ml.evaluation.score import metric_of
from ml.metrics.posterior import _aggregate

NAME = "elbo_decomposition"
PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")
ESTIMATORS = ("exact", "minibatch_weighted", "stratified")
CORRELATION = 0.72


def gaussian(samples: int, *, seed: int = 0) -> Rows:
    """Posteriors of variance 1/4 whose q(z) has unit variances and this correlation."""
    draws = np.random.default_rng(seed)
    spread = [[0.75, CORRELATION], [CORRELATION, 0.75]]
    mean = draws.multivariate_normal([0, 0], spread, samples)
    return rows_of(
        mean, np.zeros((samples, 1), int), posterior_logvar=np.full(mean.shape, math.log(0.25))
    )


def values(rows: Rows, **params: Any) -> dict[str, float]:
    return dict(metric_of({"name": NAME, **params}).values(rows))


def test_two_posteriors_worked_by_hand() -> None:
    # N(0, 1) and N(2, 1) in one latent, each sampled at its mean.
    mean = np.array([[0.0], [2.0]])
    rows = rows_of(mean, np.zeros((2, 1), int), posterior_logvar=0 * mean, posterior_sample=mean)
    found = values(rows)
    joint = 0.5 * math.log(2 * math.pi) + math.log(2) - math.log(1 + math.exp(-2))
    conditional, cross = (0.5 * (math.log(2 * math.pi) + moment) for moment in (1, 1 + 4 / 2))
    assert found["mutual_information"] == pytest.approx(joint - conditional)
    assert found["total_correlation"] == pytest.approx(0.0, abs=1e-12)
    assert found["dimension_wise_kl"] == pytest.approx(cross - joint)
    assert found["analytic_kl"] == pytest.approx(1.0)


def test_a_gaussian_has_the_parts_of_its_closed_form() -> None:
    found = values(gaussian(4000))
    true = -0.5 * math.log(1 - CORRELATION**2)
    assert found["total_correlation"] == pytest.approx(true, abs=0.05)
    # H(z) - H(z|x), with H(z) that of the Gaussian.
    assert found["mutual_information"] == pytest.approx(math.log(4) - true, abs=0.05)
    # Each latent is standard normal, as the prior.
    assert found["dimension_wise_kl"] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_parts_add_up_to_the_kl(estimator: str) -> None:
    rows = gaussian(300)
    found = values(rows, estimator=estimator)
    assert rows.kl is not None
    assert sum(found[name] for name in PARTS) == pytest.approx(found["analytic_kl"])
    assert found["analytic_kl"] == pytest.approx(rows.kl.sum(1).mean())


def test_batches_of_all_rows_and_equal_weights_are_exact() -> None:
    # In one batch of all rows, stratified weights are equal but for one row's.
    rows = _aggregate.with_samples(gaussian(400), NAME)
    exact, stratified = values(rows), values(rows, estimator="stratified", batch=400)
    for name in PARTS:
        assert stratified[name] == pytest.approx(exact[name], abs=0.02)


def test_weighted_batches_are_off_by_the_logarithm_of_the_rows() -> None:
    rows = _aggregate.with_samples(gaussian(500), NAME)
    exact, weighted = values(rows), values(rows, estimator="minibatch_weighted", batch=500)
    # Each log q is too low by log N, and there are D of the latents' for one of all together.
    off = weighted["total_correlation"] - exact["total_correlation"]
    assert off == pytest.approx(math.log(500))


def test_independent_latents_without_information_have_no_parts() -> None:
    rows = rows_of(np.zeros((200, 3)), np.zeros((200, 1), int), posterior_logvar=np.zeros((200, 3)))
    for name, value in values(rows).items():
        assert value == pytest.approx(0.0, abs=0.2 if name in PARTS else 1e-12)


def test_scores_need_no_factors_and_keep_entropies() -> None:
    rows = gaussian(300)
    assert rows.posteriors is not None
    logvar = rows.posteriors.log_variance
    found = {
        one.name: one for one in score(rows.codes, rows.factors, NAME, posterior_logvar=logvar)
    }
    assert set(found) == {*PARTS, "analytic_kl"}
    for one in found.values():
        assert one.null is None and one.ci95 is not None and one.value is not None
        assert one.ci95[0] <= one.value <= one.ci95[1]
        assert one.codes == "mean" and one.factors is None
    entropy = found["mutual_information"].details["joint_entropy"]
    each = found["total_correlation"].details["latent_entropies"]
    assert sum(each) - entropy == pytest.approx(found["total_correlation"].value)
    kl = found["dimension_wise_kl"]
    assert sum(kl.details["per_latent"]) == pytest.approx(kl.value)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_any_number_of_threads_gives_the_same_bits(estimator: str) -> None:
    metric, rows = metric_of({"name": NAME, "estimator": estimator}), gaussian(1200)
    one = metric.compute(rows)
    assert one == metric.compute(replace(rows, threads=3, shared={}))
    assert one != metric.compute(replace(rows, seed=1, shared={}))


def test_more_samples_narrow_the_interval_of_a_population() -> None:
    rows = replace(gaussian(4000), population=True)
    few, many = (
        metric_of({"name": NAME, "samples": samples}).half_widths_of_draws(rows)
        for samples in (100, 1600)
    )
    for name in PARTS:
        assert few[name] == pytest.approx(4 * many[name], rel=0.3)


def test_what_cannot_be_decomposed_is_told() -> None:
    with pytest.raises(UnusableRows, match="posterior_logvar"):
        score(np.eye(3), np.zeros((3, 1), int), NAME)
    with pytest.raises(InvalidSpec, match="does not use batch"):
        metric_of({"name": NAME, "batch": 32})


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_variances_beyond_float64_are_told_and_tiny_ones_are_not(estimator: str) -> None:
    mean = np.random.default_rng(0).normal(size=(20, 2))
    rows = rows_of(mean, np.zeros((20, 1), int), posterior_logvar=0 * mean + 1500)
    with pytest.raises(UnusableRows, match="beyond what float64 holds"):
        values(rows, estimator=estimator)
    tiny = rows_of(mean, np.zeros((20, 1), int), posterior_logvar=0 * mean - 60)
    assert values(tiny, estimator=estimator)["mutual_information"] >= math.log(20) - 2
