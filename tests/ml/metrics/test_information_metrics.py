"""Metrics on the matrix of mutual information: cases worked by hand, and the review's own table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.evaluation.score import metric_of
from ml.metrics.information.information_metric import (
    MOST_COUNTS_OF_POPULATION,
    InformationMetric,
    _number,
)
from ml.metrics.information.modularity import modularity
from ml.metrics.information.mutual_information import (
    Information,
    Pairs,
    equal_width_bins,
    information,
)
from ml.metrics.protocol import UnusableRows

LN2, LN4 = np.log(2), np.log(4)


def aggregate(name: str, known: Information, **params: Any) -> float:
    metric = metric_of({"name": name, **params})
    assert isinstance(metric, InformationMetric)
    return metric.aggregate(known)[0]


@pytest.fixture
def known() -> Information:
    """Three codes of two factors: one its own, one that shares, one dead."""
    mutual = np.array([[1.0, 0.2], [0.4, 0.6], [0.0, 0.0]])
    return Information(mutual, codes=np.array([1.5, 2.0, 0.0]), factors=np.array([2.0, 1.0]))


def test_gaps_of_factors_and_of_codes_worked_by_hand(known: Information) -> None:
    # Factors: 1.0 - 0.4 of 2.0, and 0.6 - 0.2 of 1.0.
    assert aggregate("mig", known) == pytest.approx((0.3 + 0.4) / 2)
    assert aggregate("rmig", known) == pytest.approx((0.6 + 0.4) / 2)
    # Codes by H(v): 0.5 - 0.2 and 0.6 - 0.2; by H(z): 0.8 / 1.5 and 0.2 / 2.0. The dead one is 0.
    assert aggregate("mig_sup", known) == pytest.approx((0.3 + 0.4 + 0) / 3)
    by_code = aggregate("mig_sup", known, normaliser="code")
    assert by_code == pytest.approx((0.8 / 1.5 + 0.2 / 2 + 0) / 3)


def test_dcimig_credits_each_code_to_its_best_factor(known: Information) -> None:
    # 1.0 - 0.2 goes to the first factor and 0.6 - 0.4 to the second.
    assert aggregate("dcimig", known) == pytest.approx((0.8 + 0.2) / (2 + 1))
    # A second code of the first factor takes nothing away and adds nothing.
    more = np.vstack([known.mutual, [0.9, 0.5]])
    again = Information(more, codes=np.append(known.codes, 1.0), factors=known.factors)
    assert aggregate("dcimig", again) == pytest.approx(1 / 3)


def test_jemmig_subtracts_joint_entropy_and_gap(known: Information) -> None:
    # H(v, z*) = 2 + 1.5 - 1 and 1 + 2 - 0.6; less the best, plus the second; over H(v) + log 20.
    first = 1 - (2.5 - 1.0 + 0.4) / (2 + np.log(20))
    second = 1 - (2.4 - 0.6 + 0.2) / (1 + np.log(20))
    assert aggregate("jemmig", known) == pytest.approx((first + second) / 2)


def test_med_is_disentanglement_of_shares(known: Information) -> None:
    # Shares of the columns: 1/1.4 and 0.2/0.8; 0.4/1.4 and 0.6/0.8.
    def focus(a: float, b: float) -> float:
        p, q = a / (a + b), b / (a + b)
        return 1 + (p * np.log(p) + q * np.log(q)) / LN2

    rows = [(1 / 1.4, 0.25), (0.4 / 1.4, 0.75)]
    expected = sum((a + b) / 2 * focus(a, b) for a, b in rows)
    assert aggregate("med", known) == pytest.approx(expected)


# z0 holds the most of the first factor and nearly as much of the second; z1 less of it, and nothing
# else. Shares of the columns: 5/10 and 4/10, 3/10 and 0, 2/10 and 6/10.
ENTANGLED = Information(
    np.array([[1.0, 0.4], [0.6, 0.0], [0.4, 0.6]]),
    codes=np.array([2.0, 2.0, 2.0]),
    factors=np.array([2.0, 1.0]),
)


def two(p: float) -> float:
    """One less the entropy, to base 2, of p and 1 - p."""
    return 1 + (p * np.log(p) + (1 - p) * np.log(1 - p)) / LN2


def test_top_k_med_keeps_the_most_disentangled_codes_of_each_factor() -> None:
    # The first factor has z0, which is two(5/9), and z1, which is 1; the second z2, two(1/4).
    # Of one a factor z1 and z2 are left, with 0.3 and 0.8 of the shares that all three have.
    expected = (0.3 * 1 + 0.8 * two(1 / 4)) / 1.1
    assert aggregate("med", ENTANGLED, top_k=1) == pytest.approx(expected)
    assert expected == pytest.approx(0.410, abs=5e-4)
    # With two of each nothing is left out.
    whole = (0.9 * two(5 / 9) + 0.3 * 1 + 0.8 * two(1 / 4)) / 2
    assert aggregate("med", ENTANGLED, top_k=2) == pytest.approx(whole)
    assert aggregate("med", ENTANGLED) == pytest.approx(whole)


def test_top_k_med_leaves_out_factors_that_no_code_is_of() -> None:
    mutual = np.array([[1.0, 0.5], [0.5, 0.25], [0.5, 0.25]])
    known = Information(mutual, codes=np.ones(3), factors=np.array([2.0, 2.0]))
    # All shares are equal in both columns, so that every code is of the first factor.
    assert aggregate("med", known, top_k=1) == pytest.approx(0.0, abs=1e-12)
    mutual = np.array([[1.0, 0.1], [1.0, 0.1], [0.0, 0.1]])
    known = Information(mutual, codes=np.ones(3), factors=np.array([2.0, 2.0]))
    # Shares: 1/2 and 1/3, twice, and 0 and 1/3: of one a factor, the first and the last are left.
    expected = ((5 / 6) * two(3 / 5) + 1 / 3) / (7 / 6)
    assert aggregate("med", known, top_k=1) == pytest.approx(expected)


def test_top_k_med_of_codes_that_know_nothing_is_0() -> None:
    known = Information(np.zeros((3, 2)), codes=np.zeros(3), factors=np.array([2.0, 1.0]))
    assert aggregate("med", known, top_k=1) == aggregate("med", known) == 0.0


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(10), 1.0),
        ([[1, 0], [0, 1], [0, 0]], 2 / 3),
        (np.zeros((10, 10)), 0.0),
        (np.vstack([np.eye(5), np.eye(5)]), 1.0),
        (np.hstack([np.eye(5), np.eye(5)]), 1 - 1 / 9),
    ],
    ids=["diagonal", "dead code", "zeros", "redundant codes", "one code, two factors"],
)
def test_modularity_of_the_protocols_own_test_matrices(matrix: Any, expected: float) -> None:
    assert modularity(np.asarray(matrix, float)).mean() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["modularity", "med"])
def test_what_compares_factors_needs_two(name: str) -> None:
    codes = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(UnusableRows, match="at least two"):
        score(codes, np.arange(50).reshape(-1, 1) % 4, [name])


UNIFORM = np.random.default_rng(5).random((3000, 3))
ANGLED = (UNIFORM[:, 0] + UNIFORM[:, 1]) / 2, (UNIFORM[:, 1] - UNIFORM[:, 0]) / 2
REVIEW = {
    # Codes: MIG-sup by H(z), JEMMIG, DCIMIG, modularity, on three uniform factors in ten bins.
    "identity": (UNIFORM, (0.994, 0.997, 0.994, 1.000)),
    "rotated": (np.c_[ANGLED[0], ANGLED[1], UNIFORM[:, 2]], (0.332, 0.416, 0.332, 0.670)),
    "noise": (np.random.default_rng(6).random((3000, 3)), (0.000, 0.004, 0.000, 0.161)),
    "a copy": (np.c_[UNIFORM, UNIFORM[:, 0]], (0.993, 0.831, 0.994, 1.000)),
    "two levels": (np.c_[UNIFORM[:, 0] > 0.5, UNIFORM[:, 1:]], (0.995, 0.881, 0.763, 1.000)),
}


@pytest.mark.parametrize("which", REVIEW)
def test_the_review_s_cases_score_what_its_code_gives(which: str) -> None:
    codes, expected = REVIEW[which]
    ten = {"bins": 10, "factor_bins": 10, "scaled": True}
    metrics = [{"name": "mig_sup", "normaliser": "code", **ten}]
    metrics += [{"name": name, **ten} for name in ("jemmig", "dcimig", "modularity")]
    found = [one.value for one in score(codes.astype(float), UNIFORM, metrics, uncertainty=False)]
    # Other draws than theirs: modularity of noise moves most.
    np.testing.assert_allclose(found[:3], expected[:3], atol=0.02)
    assert found[3] == pytest.approx(expected[3], abs=0.2 if which == "noise" else 0.02)


def test_a_code_of_two_levels_is_not_taken_for_its_factor() -> None:
    codes = REVIEW["two levels"][0].astype(float)
    (mig,) = score(codes, UNIFORM, [{"name": "mig", "bins": 10}], uncertainty=False)
    # log 2 of log 10 for the first, all of the others; dividing by H(z) would give 0.994.
    assert mig.value == pytest.approx((LN2 / np.log(10) + 2) / 3, abs=0.01)


def test_all_metrics_of_one_binning_share_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0

    def counting(of: Callable[..., Information]) -> Callable[..., Information]:
        def counts(*given: object) -> Information:
            nonlocal counted
            counted += 1
            return of(*given)

        return counts

    where = "ml.metrics.information.information_metric"
    monkeypatch.setattr(f"{where}.information", counting(information))
    monkeypatch.setattr(f"{where}.Pairs.information", counting(Pairs.information))
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 40)
    draws = np.random.default_rng(0)
    codes, factors = draws.normal(size=(100, 3)), draws.integers(0, 3, (100, 2))
    names = ["mig", "mig_sup", "rmig", "jemmig", "dcimig", "modularity", "med"]
    assert len(score(codes, factors, names)) == 7
    # And one of codes that are the factors.
    assert counted == 2 + 40 + 40 + 40


@pytest.mark.parametrize("most_cells", [2**24, 100])
def test_pairs_in_another_order_are_those_of_the_factors_so_ordered(
    most_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng(0)
    codes, factors = draws.integers(0, 9, (3000, 7)), draws.integers(0, (2, 3, 5), (3000, 3))
    # Rows that stand together may be drawn several times, which changes the factors' entropies.
    orders = [np.arange(3000), draws.permutation(3000), draws.integers(0, 3000, 3000)]
    expected = [information(codes, factors[order]) for order in orders]
    monkeypatch.setattr("ml.metrics.information.mutual_information.MOST_CELLS", most_cells)
    pairs = Pairs(codes, factors)
    for order, known in zip(orders, expected, strict=True):
        found = pairs.information(order)
        for name in ("mutual", "codes", "factors"):
            np.testing.assert_array_equal(getattr(found, name), getattr(known, name))


def test_the_null_is_the_same_with_any_number_of_threads() -> None:
    draws = np.random.default_rng(0)
    rows = rows_of(draws.normal(size=(300, 3)), draws.integers(0, 3, (300, 2)))
    one, four = (
        metric_of("mig").null(replace(rows, threads=threads, shared={})) for threads in (1, 4)
    )
    assert len(one["mig"]) == 1000 and np.ptp(one["mig"]) > 0
    np.testing.assert_array_equal(one["mig"], four["mig"])


def test_many_rows_get_fewer_replicates_and_few_a_thousand() -> None:
    def replicates(samples: int, bins: int = 20) -> int:
        codes, factors = np.zeros((samples, 10), int), np.zeros((samples, 5), int)
        codes[0], factors[0] = bins - 1, 9
        return _number(codes, factors)

    assert [replicates(n) for n in (100, 40_000, 80_000, 1_000_000)] == [1000, 1000, 500, 40]
    codes, factors = np.zeros((737_280, 10), int), np.zeros((737_280, 5), int)
    codes[0], factors[0] = 19, 9
    assert _number(codes, factors, MOST_COUNTS_OF_POPULATION) == 1000
    # A table of 10 x 10,000 x 50 cells costs more to sum than 100 rows to count.
    assert replicates(100, bins=10_000) == 400


def test_bins_are_the_same_scaled_or_not_but_for_values_on_an_edge() -> None:
    values = np.random.default_rng(1).normal(size=(1000, 3))
    np.testing.assert_array_equal(
        equal_width_bins(values, 10), equal_width_bins(values, 10, scaled=True)
    )
