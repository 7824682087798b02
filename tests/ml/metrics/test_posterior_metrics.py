"""Metrics of the posterior: cases worked by hand, and what holds of every one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Posteriors, Rows
from ml.components.registry import components
from ml.evaluation.score import metric_of
from ml.metrics.posterior import _aggregate
from ml.metrics.posterior._log_mixture import log_mixture
from ml.metrics.posterior.aam import alignments
from ml.metrics.protocol import ConstantFactor, Metric, UnusableRows

#: Metrics that compare posteriors with factors.
NAMES = [
    name
    for name, component in components("metric").items()
    if issubclass(component, Metric) and component.needs == "posterior" and component.needs_factors
]
EVERY = pytest.mark.parametrize("name", NAMES)


def grid(*, noise: float, times: int = 1) -> Rows:
    """A code for each of three factors of 3, 4 and 5 values, with posteriors of this deviation."""
    factors = np.tile(np.indices((3, 4, 5)).reshape(3, -1).T, (times, 1))
    codes = factors * [-2.0, 1.0, 0.5]
    return rows_of(
        codes,
        factors,
        posterior_logvar=np.log((noise * np.array([2.0, 1.0, 0.5])) ** 2) + 0 * codes,
    )


def mixed(samples: int, seed: int = 0) -> Rows:
    """Four latents that mix three factors, and one that knows nothing."""
    draws = np.random.default_rng(seed)
    factors = np.stack([draws.integers(0, size, samples) for size in (3, 4, 5)], axis=1)
    mean = np.c_[factors @ draws.normal(size=(3, 4)), np.zeros(samples)]
    mean += 0.1 * draws.normal(size=mean.shape)
    log_variance = draws.normal(-2, 0.5, size=mean.shape)
    return rows_of(mean, factors, posterior_logvar=log_variance)


def value(name: str, rows: Rows, **params: Any) -> float:
    return metric_of({"name": name, **params}).values(rows)[name]


def with_arrays(rows: Rows, mean: np.ndarray, log_variance: np.ndarray, sample: np.ndarray) -> Rows:
    posteriors = Posteriors(mean, log_variance, sample)
    return replace(rows, codes=mean, posteriors=posteriors, shared={})


def test_two_posteriors_worked_by_hand() -> None:
    # N(0, 1) and N(2, 1), one for each value, with the means as samples.
    mean = np.array([[0.0], [2.0]])
    rows = rows_of(
        mean, np.array([[0], [1]]), posterior_logvar=0 * mean, posterior_sample=mean.copy()
    )
    # At either mean q(z|v) is the peak p, and q(z) is (p + p e^-2) / 2.
    information = math.log(2) - math.log(1 + math.exp(-2))
    assert value("mig_posterior", rows) == pytest.approx(information / math.log(2))
    assert value("aam", rows) == pytest.approx(1.0)
    known = metric_of("mig_posterior").compute(rows)["mig_posterior"].details
    peak = 1 / math.sqrt(2 * math.pi)
    assert known["latent_entropies"] == pytest.approx([-math.log(peak * (1 + math.exp(-2)) / 2)])


@EVERY
def test_a_collapsed_model_knows_nothing_whatever_rounding_leaves(name: str) -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, [3, 4, 5], size=(300, 3))
    codes = np.full((300, 3), 0.1)
    assert value(name, rows_of(codes, factors, posterior_logvar=np.full((300, 3), -2.0))) == 0.0


def test_alignments_worked_by_hand() -> None:
    # One latent leads two others by half; two that are equal; none that knows anything.
    mutual = np.array([[2.0, 1.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(alignments(mutual), [0.5, 0.0, 0.0])


def test_log_densities_are_those_of_plain_sums() -> None:
    draws = np.random.default_rng(0)
    for dimensions in (1, 3):
        points, means = draws.normal(size=(70, dimensions)), draws.normal(size=(dimensions, 600))
        scales, offsets = draws.uniform(0.5, 20, (dimensions, 600)), 50 * draws.normal(size=600)
        found = np.empty(70)
        log_mixture(points, means, scales, offsets, found)
        exponents = offsets - (((points[:, :, None] - means) * scales) ** 2).sum(1)
        np.testing.assert_allclose(found, np.logaddexp.reduce(exponents, axis=1), rtol=1e-9)


@EVERY
def test_narrow_posteriors_of_a_perfect_code_score_nearly_1(name: str) -> None:
    assert value(name, grid(noise=0.05)) == pytest.approx(1.0, abs=1e-3)


def test_wide_posteriors_know_little_whatever_their_means() -> None:
    rows = grid(noise=5.0, times=20)
    assert score(rows.codes, rows.factors, "mig", uncertainty=False)[0].value == pytest.approx(1.0)
    assert value("mig_posterior", rows) < 0.05


@EVERY
def test_neither_the_order_of_latents_nor_their_scale_matters(name: str) -> None:
    rows = _aggregate.with_samples(mixed(300), name)
    assert rows.posteriors is not None and rows.posteriors.sample is not None
    mean, spread, sample = (
        rows.posteriors.mean,
        rows.posteriors.log_variance,
        rows.posteriors.sample,
    )
    there, order = value(name, rows), [4, 2, 0, 3, 1]
    other = with_arrays(rows, mean[:, order], spread[:, order], sample[:, order])
    assert value(name, other) == pytest.approx(there, abs=1e-9)
    scale = np.array([1e-3, -2.0, 5.0, 1e4, 1.0])
    scaled = with_arrays(
        rows, mean * scale + 7, spread + 2 * np.log(np.abs(scale)), sample * scale + 7
    )
    assert value(name, scaled) == pytest.approx(there, abs=1e-6)


@EVERY
def test_noise_lies_inside_its_null(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 12)
    rows = mixed(400)
    noise = rows.with_factors_of(np.random.default_rng(1).permutation(400))
    null = metric_of(name).null(noise)[name]
    assert abs(value(name, noise) - null.mean()) <= 5 * null.std(ddof=1) + 1e-9
    assert value(name, rows) > null.max() or name == "aam"


@EVERY
def test_the_null_is_the_score_of_permuted_factors(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 3)
    rows, metric = mixed(200), metric_of(name)
    one, _ = metric.null(rows)[name], metric.compute(rows)
    slowly = Metric.null(metric, replace(rows, shared={}))[name]
    np.testing.assert_allclose(one, slowly, atol=1e-12)


@EVERY
def test_a_score_repeats_lies_in_its_interval_and_can_be_cited(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 4)
    rows = mixed(200)
    assert rows.posteriors is not None

    def scored(**options: Any) -> Mapping[str, Any]:
        (found,) = score(
            rows.codes, rows.factors, name, posterior_logvar=rows.posteriors.log_variance, **options
        )
        return json.loads(found.model_dump_json(exclude={"seconds"}))

    first = scored(seed=3)
    assert first == scored(seed=3)
    # Another seed draws other samples of the posteriors.
    assert first["value"] != scored(seed=4)["value"]
    low, high = first["ci95"]
    assert low <= first["value"] <= high and high - low < 0.5
    assert first["null"]["replicates"] == 4
    assert first["details"]["density"] == "exact"


@EVERY
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    metric, rows = metric_of(name), mixed(300)
    assert metric.compute(rows) == metric.compute(replace(rows, threads=3, shared={}))


@EVERY
def test_a_constant_factor_is_named(name: str) -> None:
    rows = mixed(60)
    rows.factors[:, 1] = 9
    with pytest.raises(ConstantFactor, match=r"'factor_1' \(column 1\).*9"):
        metric_of(name).compute(rows)


@EVERY
def test_codes_without_posteriors_are_told_what_is_missing(name: str) -> None:
    with pytest.raises(UnusableRows, match=f"{name} needs the posterior.*posterior_logvar"):
        score(np.eye(4), np.arange(4)[:, None], name)


@EVERY
def test_samples_that_no_posterior_reaches_are_refused(name: str) -> None:
    rows = mixed(20)
    assert rows.posteriors is not None
    mean = rows.posteriors.mean
    far = with_arrays(rows, mean, 0 * mean - 900, mean + 1e149)
    with pytest.raises(UnusableRows, match="beyond what float64"):
        metric_of(name).compute(far)


@EVERY
def test_work_stops_between_its_parts(name: str) -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    rows = replace(mixed(60), continue_or_stop=stop)
    for threads in (1, 2):
        with pytest.raises(Enough):
            metric_of(name).compute(replace(rows, threads=threads))
    with pytest.raises(Enough):
        metric_of(name).null(rows)


@EVERY
def test_continuous_factors_are_cut_into_bins(name: str) -> None:
    rows = mixed(300)
    numbers = replace(rows, factors=rows.factors + 0.0, factor_kinds=("continuous",) * 3, shared={})
    # Few values lie in bins of their own.
    assert value(name, numbers) == pytest.approx(value(name, rows))
    assert value(name, rows, factor_bins=2) != pytest.approx(value(name, rows))


def test_merging_posteriors_hardly_moves_information(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, metric = mixed(6000), metric_of({"name": "mig_posterior", "samples": 500})
    exact = metric.compute(rows)["mig_posterior"].details
    monkeypatch.setattr(_aggregate, "EXACT_ROWS", 1000)
    merged = metric.compute(replace(rows, shared={}))["mig_posterior"].details
    assert (exact["density"], merged["density"]) == ("exact", "merged")
    for name in ("mutual_information", "latent_entropies"):
        assert exact[name] != merged[name]
        np.testing.assert_allclose(merged[name], exact[name], atol=1e-4)
    assert _aggregate.aggregate(rows, 500, "").components() == 30_000
    assert _aggregate.aggregate(replace(rows, shared={}), 500, "").components() < 10_000


def test_few_samples_widen_the_interval_of_a_population() -> None:
    rows = replace(grid(noise=0.4, times=50), population=True)
    few, many = (
        metric_of({"name": "mig_posterior", "samples": samples}).half_widths_of_draws(rows)
        for samples in (100, 1600)
    )
    assert few["mig_posterior"] == pytest.approx(4 * many["mig_posterior"], rel=0.4)


@EVERY
def test_values_of_unequal_frequency_stay_in_range(name: str) -> None:
    # A value of a single row among those that are drawn, and narrow posteriors that tell it.
    draws = np.random.default_rng(0)
    factors = (draws.random((2000, 2)) < [0.001, 0.5]).astype(int)
    codes = factors.astype(float)
    rows = rows_of(codes, factors, posterior_logvar=0 * codes - 9)
    for samples in (50, 500, 2000):
        assert 0 <= value(name, rows, samples=samples) <= 1
