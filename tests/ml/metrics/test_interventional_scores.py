"""BetaVAE and FactorVAE scores, Z-max variance: by hand, in closed form, and by what they miss."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows, UnfitFactor, UnusableRows
from ml.evaluation.score import metric_of
from ml.metrics.intervention import _kernels
from ml.metrics.intervention.beta_vae_score import BetaVAEScore
from ml.metrics.intervention.groups import group, labels_of_the_others
from ml.metrics.protocol import Score

VOTES = ("factor_vae_score", "z_max_variance")
ALL = ("beta_vae_score", *VOTES)
#: A factor of two values and one of four, in every combination.
PAIR = np.indices((2, 4)).reshape(2, -1).T
#: The second code is the second factor, but moves five times as far if the first factor is 1.
STRETCHED = np.c_[PAIR[:, 0], PAIR[:, 1] * (1 + 4 * PAIR[:, 0])].astype(np.float64)


def plain(metric: dict[str, Any], codes: np.ndarray, factors: np.ndarray) -> dict[str, Score]:
    return {one.name: one for one in score(codes, factors, [metric], uncertainty=False)}


def mixture(samples: int | None, seed: int = 0) -> Rows:
    """Codes that mix the factors of a grid, on all of it or on a sample of it."""
    draws = np.random.default_rng(seed)
    factors = np.indices((4, 5, 6, 10)).reshape(4, -1).T
    codes = (factors / [4, 5, 6, 10]) @ np.random.default_rng(1).normal(size=(4, 5))
    codes += 0.2 * np.random.default_rng(2).normal(size=codes.shape)
    rows = replace(rows_of(codes, factors, seed=seed), population=True)
    if samples is None:
        return rows
    return rows.take(draws.permutation(len(rows))[:samples], samples)


# With the first factor fixed the first code stands still. With the second fixed at b it moves by a
# variance of 0.5, which is 1.75 of its own, and the second code by 8 b², of 202 / 7: at b = 3 the
# second code moves further, and before that the first.
EXPECTED = {
    "factor_vae_score": [[1 / 2, 1 / 8], [0, 3 / 8]],
    "z_max_variance": [[3 / 8, 0], [1 / 8, 1 / 2]],
}


@pytest.mark.parametrize("name", VOTES)
def test_a_case_worked_by_hand(name: str) -> None:
    (found,) = plain({"name": name, "batch": None}, STRETCHED, PAIR).values()
    np.testing.assert_allclose(found.details["votes"], EXPECTED[name])
    assert found.value == pytest.approx(7 / 8)
    (rescaled,) = plain({"name": name, "batch": None, "rescaled": True}, STRETCHED, PAIR).values()
    assert rescaled.value == pytest.approx((7 / 8 - 1 / 2) / (1 / 2))


@pytest.mark.parametrize("name", VOTES)
def test_drawn_votes_are_those_of_whole_groups_up_to_their_number(name: str) -> None:
    # Drawn from two rows, or from codes that stand still, a batch votes as its group does.
    found = plain({"name": name}, STRETCHED, PAIR)
    train, test = found[f"{name}_train"], found[name]
    for part, points in (("votes", 10_000), ("test_votes", 5_000)):
        votes = np.array(test.details[part])
        assert votes.sum() == points
        deviations = np.sqrt(0.25 / points)
        np.testing.assert_allclose(votes / points, EXPECTED[name], atol=4 * deviations)
    assert train.value == np.max(train.details["votes"], axis=1).sum() / 10_000
    assert test.value == pytest.approx(7 / 8, abs=4 * math.sqrt(7 / 64 / 5_000))


@pytest.mark.parametrize("name", ALL)
def test_a_lattice_is_perfect_and_a_single_code_tells_nothing(name: str) -> None:
    lattice = np.indices((3, 4, 5)).reshape(3, -1).T
    assert plain({"name": name}, lattice * [3.0, 1.0, 0.5], lattice)[name].value == 1.0
    # All votes go to one code, whatever the factor. The pairs of the BetaVAE score do tell a
    # factor that moves the code from others.
    if name != "beta_vae_score":
        alone = plain({"name": name, "batch": None}, lattice[:, :1] * 1.0, lattice)[name]
        assert alone.value == pytest.approx(1 / 3)


def test_pairs_are_different_rows_of_one_group_and_as_far_apart_as_its_rows() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, (3, 8), (60, 2)).T.astype(np.int32)
    codes = draws.normal(size=(60, 2))
    codes[:, 1] = np.arange(60)
    groups = group(np.ascontiguousarray(labels), ("a", "b"), "{}")
    (single, of) = _kernels.differences(codes, *groups, 1, 20_000, draws)
    assert single[:, 1].min() == 1
    for k in range(2):
        distances = []
        for i in range(60):
            others = [j for j in range(60) if labels[k, j] == labels[k, i] and j != i]
            if others:
                distances.append(np.abs(codes[others] - codes[i]).mean(0))
        found = single[of == k]
        error = found.std(0) / math.sqrt(len(found))
        assert (np.abs(found.mean(0) - np.mean(distances, axis=0)) < 4 * error).all()
    # A mean over a batch varies by the root of its size less.
    (many, of_many) = _kernels.differences(codes, *groups, 100, 2_000, draws)
    assert many[of_many == 0].std(0) == pytest.approx(single[of == 0].std(0) / 10, rel=0.15)


def test_mixtures_pass_for_disentangled_by_pairs_and_not_by_votes() -> None:
    rows = mixture(None)
    found = {}
    for name in ALL:
        metric = metric_of({"name": name, "batch": 400, "train_points": 2000})
        found[name] = metric.values(rows)[name]
    assert found["beta_vae_score"] > 0.95
    assert found["factor_vae_score"] < 0.8 and found["z_max_variance"] < 0.8
    # The fewer the pairs, the more a point varies.
    assert metric_of("beta_vae_score").values(rows)["beta_vae_score"] < 0.85


def test_pruned_codes_take_no_part_and_nothing_is_left_to_vote_for() -> None:
    codes = np.c_[STRETCHED, 1e-3 * STRETCHED[:, 0], np.full(8, 2.0)]
    found = plain({"name": "factor_vae_score"}, codes, PAIR)["factor_vae_score"]
    assert found.details["active"] == [0, 1]
    assert np.array(found.details["votes"])[2:].sum() == 0
    everyone = {"name": "factor_vae_score", "prune_below": 0.0, "batch": None}
    assert plain(everyone, codes, PAIR)["factor_vae_score"].details["active"] == [0, 1, 2]
    none = score(1e-3 * STRETCHED, PAIR, ["factor_vae_score"])
    assert [one.value for one in none] == [0.0, 0.0]
    assert none[0].details["active"] == [] and "0.05" in none[0].details["reason"]


def test_neither_scale_nor_offset_changes_a_vote() -> None:
    rows, asked = mixture(500), {"name": "factor_vae_score", "prune_below": 0.0}
    expected = plain(asked, rows.codes, rows.factors)["factor_vae_score"].value
    for scale, offset in ((1e-170, 0.0), (1e140, 0.0), (1.0, 1e6)):
        found = plain(asked, rows.codes * scale + offset, rows.factors)
        assert found["factor_vae_score"].value == expected


@pytest.mark.parametrize("name", ALL)
def test_a_null_is_what_guessing_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.MOST_REPLICATES", 8)
    lattice = np.indices((10, 10, 10)).reshape(3, -1).T
    metric = metric_of({"name": name, "factor_bins": 3})
    null = metric.null(rows_of(lattice * 1.0, lattice))[name]
    assert len(null) == 8 and null.std() > 0
    # Groups are fixed within a replicate, so that votes know a little of small ones.
    assert null.mean() == pytest.approx(1 / 3, abs=0.07)


@pytest.mark.parametrize("classifier", ["logistic_regression", "one_vs_rest"])
def test_codes_beyond_what_the_classifier_can_square_are_refused(classifier: str) -> None:
    asked = {"name": "beta_vae_score", "classifier": classifier, "train_points": 50}
    with pytest.raises(UnusableRows, match="column 1 differ by more than 1e"):
        plain(asked, np.c_[PAIR[:, 0], 1e148 * PAIR[:, 1]], PAIR)


def test_the_classifier_may_be_the_one_of_2019() -> None:
    rows = mixture(None)
    asked = {"name": "beta_vae_score", "train_points": 3000}
    new, old = (
        metric_of({**asked, "classifier": one}).values(rows)["beta_vae_score"]
        for one in ("logistic_regression", "one_vs_rest")
    )
    assert old != new and old == pytest.approx(new, abs=0.1)
    (alone, _) = score(rows.codes, rows.factors, [{**asked, "train_points": 1}], uncertainty=False)
    assert alone.value == 1.0


@pytest.mark.parametrize("scale", [1e-170, 0.1, 1.0, 1e3, 1e8, 1e140])
def test_the_penalty_is_on_the_scale_of_codes_and_any_scale_converges(scale: float) -> None:
    rows = mixture(None)
    groups = group(BetaVAEScore().labels(rows), rows.factor_names, "{}")
    points, of = _kernels.differences(rows.codes, *groups, 64, 2000, np.random.default_rng(0))
    metric = metric_of("beta_vae_score")
    assert isinstance(metric, BetaVAEScore)
    found = metric._predicted(points * scale, of, points * scale)
    told = float((found == of).mean())
    if scale in (0.1, 1.0):
        model = LogisticRegression(tol=1e-8, max_iter=10_000).fit(points * scale, of)
        assert told == pytest.approx(model.score(points * scale, of), abs=2e-3)
    else:
        # The penalty is all, or nothing.
        assert told < 0.3 if scale < 1 else told > 0.78


def test_others_are_numbered_alike_exactly_if_they_agree() -> None:
    draws = np.random.default_rng(5)
    for sizes in ((2, 3, 4), (40, 50, 60), (9,)):
        labels = draws.integers(0, sizes, (200, len(sizes))).T.astype(np.int32)
        found = labels_of_the_others(np.ascontiguousarray(labels))
        for k in range(len(sizes)):
            others = np.delete(labels, k, axis=0)
            agree = (others[:, :, None] == others[:, None, :]).all(0)
            assert ((found[k][:, None] == found[k]) == agree).all()


def test_rows_without_groups_and_factors_without_values_are_refused() -> None:
    codes = np.random.default_rng(0).normal(size=(30, 2))
    each = np.c_[np.arange(30), np.arange(30) % 3]
    with pytest.raises(UnusableRows, match=r"share a value of factor 'id'.*factor_bins"):
        score(codes, each, ["factor_vae_score"], factor_names=["id", "b"])
    with pytest.raises(UnusableRows, match="all factors but 'b'"):
        score(codes, each, ["z_max_variance"], factor_names=["id", "b"])
    with pytest.raises(UnfitFactor, match="set factor_bins"):
        score(codes, each * 1.0, ["beta_vae_score"])
    for name in ALL:
        assert score(codes, each * 1.0, [{"name": name, "factor_bins": 3}], uncertainty=False)


@pytest.mark.parametrize("name", ALL)
def test_one_factor_cannot_be_told_from_others(name: str) -> None:
    (first, *_) = score(STRETCHED, PAIR[:, :1], [name])
    assert first.value is None and "needs at least two" in str(first.error)


@pytest.mark.parametrize("name", VOTES)
def test_a_population_is_the_limit_of_samples(name: str) -> None:
    metric = metric_of({"name": name, "batch": None, "factor_bins": 3})
    whole = metric.values(mixture(None))[name]
    off = [
        abs(np.mean([metric.values(mixture(samples, seed))[name] for seed in range(12)]) - whole)
        for samples in (60, 1100)
    ]
    assert off[1] < off[0] and off[1] < 0.04


@pytest.mark.parametrize(
    "asked", [{"name": "factor_vae_score", "rescaled": True}, {"name": "beta_vae_score"}], ids=str
)
def test_on_a_population_the_interval_is_that_of_the_draws(asked: dict[str, Any]) -> None:
    metric = metric_of({**asked, "train_points": 1000, "test_points": 500, "batch": 20})
    rows = mixture(None)
    values = [metric.values(replace(rows, seed=seed))[metric.name] for seed in range(40)]
    width = metric.half_widths_of_draws(rows)[metric.name]
    # Forty values tell a deviation to within a ninth.
    assert width / 1.96 == pytest.approx(np.std(values, ddof=1), rel=0.35)
    exact = metric_of({"name": "z_max_variance", "batch": None})
    assert exact.half_widths_of_draws(rows) == {"z_max_variance": 0.0}


@pytest.mark.parametrize("name", ALL)
def test_batches_can_be_stopped_between_any_of_them_and_stay_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"name": name, "batch": 8, "train_points": 50, "test_points": 30}
    rows = mixture(300)
    at_once = metric_of(asked).values(rows)
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.MOST_VALUES", 8 * 5 * 7)
    calls: list[None] = []
    told = replace(rows, continue_or_stop=lambda: calls.append(None), shared={})
    assert metric_of(asked).values(told) == at_once
    # Seven points at a time.
    assert len(calls) == 8 + 5


@pytest.mark.parametrize("name", [*ALL, "irs"])
def test_threads_change_no_bit_of_a_null_and_can_be_stopped(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.FEWEST_REPLICATES", 5)
    monkeypatch.setattr("ml.metrics.intervention.intervention_metric.MOST_REPLICATES", 5)
    of_votes = {"train_points": 200, "test_points": 100}
    metric = metric_of({"name": name} | ({} if name == "irs" else of_votes))
    rows = mixture(300)
    alone = metric.null(replace(rows, shared={}))
    together = metric.null(replace(rows, threads=3, shared={}))
    assert {number: of.tolist() for number, of in alone.items()} == {
        number: of.tolist() for number, of in together.items()
    }
    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        metric.null(replace(rows, threads=3, continue_or_stop=stop, shared={}))
