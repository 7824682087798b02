"""What a sweep came to: descriptions, the best setting, warnings, correlations, shares."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.metrics.protocol import NullDistribution
from ml.studies.grouped import counted_columns
from ml.studies.statistics import Correlations, Description, correlations, describe, spearman
from ml.studies.study import Column, RunResult, Study, StudyRun, study
from ml.studies.summary import (
    BestSetting,
    StudySummary,
    ValueSummary,
    summarise,
)
from ml.studies.udr import RunUdr
from ml.studies.values import median, pooled_null, setting_name
from tests.ml.many_runs import SPEC, a_run, a_score, a_sweep, like_beta, with_null

BETA = "objective.beta"
NONE = Description(n=0, mean=None, median=None, std=None, ci95=None, low=None, high=None)


def correlated(found: Study) -> Correlations:
    return correlations(found, counted_columns(found))


def of_settings(values: Mapping[Any, Sequence[float | None]], column: str = "mig") -> Study:
    """A study of settings, by their beta, each with its runs' numbers."""
    return study(
        "",
        [
            a_run({BETA: beta, "seed": seed}, {column: value})
            for beta, numbers in values.items()
            for seed, value in enumerate(numbers)
        ],
    )


def the_best(found: Study, column: str = "mig") -> BestSetting:
    [best] = [one for one in summarise(found).best if one.column == column]
    return best


def without_few_seeds(found: Study) -> list[str]:
    """The warnings, without that of too few seeds."""
    return [one for one in summarise(found).warnings if "before an order of" not in one]


# Descriptions


def test_description_by_hand() -> None:
    # 1, 2, 6: mean 3, deviations -2, -1, 3, so that the variance is (4 + 1 + 9) / 2 = 7.
    found = describe([6.0, 1.0, 2.0])
    assert (found.n, found.mean, found.median, found.low, found.high) == (3, 3, 2, 1, 6)
    assert found.std == pytest.approx(math.sqrt(7))
    # Tables of Student's t have 4.303 for 2 degrees of freedom; 4.303 * sqrt(7 / 3) = 6.573.
    assert found.ci95 == pytest.approx((3 - 6.573, 3 + 6.573), abs=1e-3)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
def test_description_is_as_scipy_and_pandas_have_it(values: list[float]) -> None:
    found, theirs = describe(values), pd.Series(values).describe()
    expected = [theirs[name] for name in ("count", "mean", "50%", "std", "min", "max")]
    mine = [found.n, found.mean, found.median, found.std, found.low, found.high]
    assert mine == pytest.approx(expected, rel=1e-9, abs=1e-9)
    error = scipy.stats.sem(values)
    # scipy has no interval without any deviation, where it is the mean alone.
    interval = scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), max(error, 1e-300))
    assert found.ci95 == pytest.approx(interval, rel=1e-9, abs=1e-9)


def test_no_value_and_one_are_described_by_what_there_is() -> None:
    assert describe([]) == NONE
    assert describe([2.5]) == Description(
        n=1, mean=2.5, median=2.5, std=None, ci95=None, low=2.5, high=2.5
    )


def test_a_mean_too_large_for_a_float_is_null_and_the_median_is_not() -> None:
    found = describe([1e308, 1.5e308, 1.2e308, 1e308])
    assert (found.mean, found.std, found.ci95) == (None, None, None)
    assert found.median == pytest.approx(1.1e308)
    assert (found.low, found.high) == (1e308, 1.5e308)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_the_median_is_that_of_exact_numbers_of_any_size(values: list[float]) -> None:
    exact = float(statistics.median([Fraction(value) for value in values]))
    assert median(values) == pytest.approx(exact, rel=1e-15, abs=1e-320)


# Settings and values


def test_every_setting_and_value_is_described_over_its_runs() -> None:
    sweep = {BETA: [4, 1], "model.latent_dim": [5, 10], "seed": [0, 1, 2]}
    found = a_sweep(sweep, like_beta)
    summary, frame = summarise(found), pd.DataFrame(found.rows())
    paths = [BETA, "model.latent_dim"]
    assert [one.setting for one in summary.by_setting] == [
        {BETA: beta, "model.latent_dim": latents} for beta in (4, 1) for latents in (5, 10)
    ]
    by_setting = frame.groupby(paths)[list(found.columns)]
    for one in summary.by_setting:
        assert (one.runs, one.objective) == (3, "beta_vae")
        group = by_setting.get_group(tuple(one.setting.values()))
        means = {name: column.mean for name, column in one.columns.items()}
        assert means == pytest.approx(group.mean().to_dict())
    # Pooled over the other path; numbers in rising order, and the seed is none of them.
    assert [(one.path, one.value) for one in summary.by_value] == [
        (BETA, 1),
        (BETA, 4),
        ("model.latent_dim", 5),
        ("model.latent_dim", 10),
    ]
    for value in summary.by_value:
        group = frame[frame[value.path] == value.value]
        assert value.runs == len(group) == 6
        for name, column in value.columns.items():
            assert column.n == 6
            assert column.median == pytest.approx(group[name].median())


def test_true_and_1_are_summed_up_apart() -> None:
    values = [True, 1, True, 1]
    runs = [
        a_run({"model.bias": value, "seed": seed}, {"mig": float(seed)})
        for seed, value in enumerate(values)
    ]
    summary = summarise(study("", runs))

    def told(one: ValueSummary) -> tuple[str, int, float | None]:
        return repr(one.value), one.runs, one.columns["mig"].mean

    assert sorted(map(told, summary.by_value)) == [("1", 2, 2.0), ("True", 2, 1.0)]
    assert [(repr(one.setting["model.bias"]), one.runs) for one in summary.by_setting] == [
        ("True", 2),
        ("1", 2),
    ]
    assert repr(summary.best[0].setting) == "{'model.bias': 1}"
    assert repr(summary.best[0].runner_up) == "{'model.bias': True}"


def test_values_that_are_not_all_numbers_stay_in_the_order_of_the_sweep() -> None:
    for values in (["b", "a"], [4, None, 1]):
        found = a_sweep({"model.x": values}, lambda place: {})
        assert [one.value for one in summarise(found).by_value] == values


def test_a_path_that_some_runs_do_not_have_pools_those_that_have_it() -> None:
    runs = [
        a_run({"objective": {"name": "beta_vae", "beta": 4}}, {"mig": 0.5}),
        a_run({"objective": {"name": "factor_vae"}}, {"mig": 0.7}),
    ]
    found = {(one.path, one.value): one for one in summarise(study("", runs)).by_value}
    assert list(found) == [
        ("objective.name", "beta_vae"),
        ("objective.name", "factor_vae"),
        (BETA, 4),
    ]
    assert found[BETA, 4].columns["mig"].mean == 0.5


def test_a_setting_is_told_as_json_has_its_values() -> None:
    swept = {"a.x": True, "a.y": None, "b.x": 0.50, "b.y": 4.0, "c": "mlp"}
    assert setting_name(swept.items()) == "a.x true, a.y null, b.x 0.5, b.y 4, c mlp"
    assert setting_name([]) == "the only setting"


# The best setting


def test_the_best_has_the_best_median_and_not_the_best_run_nor_mean() -> None:
    # beta 1 has the best run, 0.9, and the best mean, 1.3 / 3; beta 4 the best median, 0.4.
    best = the_best(of_settings({1: [0.2, 0.9, 0.2], 4: [0.4, 0.4, 0.41], 8: [0.1, 0.3, 0.3]}))
    assert (best.setting, best.median, best.seeds) == ({BETA: 4}, 0.4, 3)
    assert (best.runner_up, best.runner_up_median) == ({BETA: 8}, 0.3)


def test_where_lower_is_better_the_best_is_the_lowest() -> None:
    scores = {1: (0.9, 0.8, 0.1), 4: (0.5, 0.4, 0.5)}
    runs = [
        a_run(
            {BETA: beta, "seed": seed},
            scores=[a_score("jemmig", value, None, higher_is_better=False)],
        )
        for beta, values in scores.items()
        for seed, value in enumerate(values)
    ]
    best = the_best(study("", runs), "jemmig")
    assert (best.higher_is_better, best.setting, best.median) == (False, {BETA: 4}, 0.5)
    assert (best.runner_up, best.runner_up_median) == ({BETA: 1}, 0.8)


@pytest.mark.parametrize(("seeds", "told"), [(1, "1 seed;"), (4, "4 seeds;"), (5, None), (6, None)])
def test_fewer_than_five_seeds_are_told(seeds: int, told: str | None) -> None:
    found = of_settings({1: [0.5] * seeds, 4: [0.4] * seeds})
    best = the_best(found)
    assert (best.seeds, best.enough_seeds) == (seeds, seeds >= 5)
    warnings = [one for one in summarise(found).warnings if "settings rest" in one]
    if told is None:
        assert (best.note, warnings) == (None, [])
    else:
        assert best.note is not None and best.note.startswith(f"It rests on {told}")
        assert [one.startswith(f"2 of 2 settings rest on {told}") for one in warnings] == [True]


def test_few_seeds_are_told_of_the_settings_that_have_them() -> None:
    found = of_settings({1: [0.5] * 5, 2: [0.5] * 2, 4: [0.5] * 4})
    [warning] = [one for one in summarise(found).warnings if "seeds" in one]
    assert warning.startswith("2 of 3 settings rest on 2 to 4 seeds;")


def test_only_seeds_that_succeeded_make_enough() -> None:
    runs = [
        a_run({BETA: beta, "seed": seed}, {"mig": 0.5}, state="failed" if failed else "succeeded")
        for beta, failures in ((1, 0), (2, 2), (4, 6))
        for seed in range(6)
        for failed in [seed < failures]
    ]
    # Nothing is said of beta 4, which has none.
    [warning] = [one for one in summarise(study("", runs)).warnings if "seeds" in one]
    assert warning.startswith("1 of 2 settings rests on 4 seeds;")


def test_the_same_seed_twice_is_one_seed() -> None:
    # As where a run stands twice in a sweep.
    runs = [a_run({"seed": seed % 4}, {"mig": 0.5}) for seed in range(5)]
    [warning] = [one for one in summarise(study("", runs)).warnings if "seeds" in one]
    assert warning.startswith("1 of 1 settings rests on 4 seeds;")


def test_of_equal_settings_the_first_of_the_sweep_is_best() -> None:
    for higher in (True, False):
        runs = [
            a_run({BETA: beta}, scores=[a_score("mig", value, higher_is_better=higher)])
            for beta, value in ((8, 0.5), (1, 0.5), (4, 0.5))
        ]
        best = the_best(study("", runs))
        assert (best.setting, best.runner_up) == ({BETA: 8}, {BETA: 1})


def test_a_single_setting_has_no_runner_up() -> None:
    best = the_best(of_settings({4: [0.5, 0.6]}))
    assert (best.runner_up, best.runner_up_median) == (None, None)


def test_a_best_setting_is_told_by_every_score_that_has_values_and_by_no_curve() -> None:
    found = a_sweep({BETA: [1, 4]}, lambda place: {**like_beta(place), "sap": None})
    assert [one.column for one in summarise(found).best] == [
        "mig",
        "dci.disentanglement",
        "dci.completeness",
    ]


# What counts


@pytest.mark.parametrize(
    ("state", "error", "warning"),
    [
        ("failed", "The loss is not finite.", "1 of 6 runs has failed and stands in no number: "),
        ("cancelled", None, "1 of 6 runs has been cancelled and stands in no number."),
        ("running", None, "1 of 6 runs has not ended yet and stands in no number."),
        ("queued", None, "1 of 6 runs has not ended yet and stands in no number."),
    ],
)
def test_only_runs_that_succeeded_count(state: str, error: str | None, warning: str) -> None:
    # The other one would be the best of all.
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    runs = [a_run({BETA: 1, "seed": seed}, {"mig": value}) for seed, value in enumerate(values)]
    other = a_run({BETA: 1, "seed": 9}, {"mig": 0.9}, state=state, error=error)
    with_it, without = summarise(study("", [*runs, other])), summarise(study("", runs))
    assert with_it.counts == {"succeeded": 5, state: 1}
    assert with_it.by_setting[0].runs == with_it.by_value[0].runs == 6
    assert (
        with_it.by_setting[0].columns == with_it.by_value[0].columns == without.by_value[0].columns
    )
    for name in ("best", "correlations", "variance"):
        assert getattr(with_it, name) == getattr(without, name)
    reason = "The loss is not finite." if error else ""
    assert with_it.warnings == [warning + reason]


def test_the_commonest_reason_for_failing_is_told() -> None:
    errors = ["no memory", "Diverged.", "no memory", "lost", None]
    runs = [a_run({"seed": seed}, state="failed", error=error) for seed, error in enumerate(errors)]
    assert summarise(study("", runs)).warnings == [
        "5 of 5 runs have failed and stand in no number: no memory; and 3 other reasons."
    ]


def test_a_missing_score_is_told_with_its_reason() -> None:
    # The builder's reason.
    assert without_few_seeds(of_settings({1: [0.5, None, 0.5, None, 0.5, 0.5, 0.5]})) == [
        "mig is missing from 2 of the 7 runs that succeeded: the latents are constant."
    ]


def test_a_score_that_only_some_runs_have_is_told() -> None:
    runs = [a_run({"seed": 0}, {"mig": 0.5}), a_run({"seed": 1}, {"mig": 0.5, "sap": 0.5})]
    [warning] = without_few_seeds(study("", runs))
    assert warning.startswith("sap is missing from 1 of the 2 runs that succeeded: it was not")


def test_a_score_that_does_not_compare_is_missing_nowhere() -> None:
    def of(dataset: str, seed: int, value: float | None) -> RunResult:
        spec = {**SPEC, "dataset": {"name": dataset}, "objective": {"name": "vae"}, "seed": seed}
        return a_run({"dataset": dataset, "seed": seed}, {"mig": value}, spec=spec)

    places = [(name, seed) for name in ("digits", "dsprites") for seed in range(5)]
    values = {place: 1.0 if place[0] == "digits" else 0.5 for place in places}
    summary = summarise(study("", [of(*place, values[place]) for place in places]))
    assert summary.warnings == []
    # Each is the best on its own data.
    assert [(one.column, one.median, one.runner_up) for one in summary.best] == [
        ("mig[dataset=digits]", 1, None),
        ("mig[dataset=dsprites]", 0.5, None),
    ]
    assert summary.correlations.pairs == [[5, 0], [0, 5]]
    values["digits", 0] = None  # type: ignore[assignment]
    summary = summarise(study("", [of(*place, values[place]) for place in places]))
    told = "mig[dataset=digits] is missing from 1 of the 10 runs that succeeded: the latents are"
    assert [warning.startswith(told) for warning in summary.warnings if "seed" not in warning] == [
        True
    ]


def test_a_collapsed_run_is_not_the_best_for_having_no_kl() -> None:
    found = a_sweep(
        {BETA: [1, 1000], "seed": range(5)},
        lambda place: {
            "elbo": -100.0 - place[BETA],
            "elbo.reconstruction": 80.0 + place[BETA],
            "elbo.kl": 20.0 / place[BETA],
            "final.kl": 20.0 / place[BETA],
        },
    )
    summary = summarise(found)
    assert [(one.column, one.setting) for one in summary.best] == [
        ("elbo", {BETA: 1}),
        ("elbo.reconstruction", {BETA: 1}),
    ]
    # It is described all the same.
    assert summary.by_setting[1].columns["elbo.kl"].median == 0.02
    assert summary.variance["elbo.kl"] is not None


def test_without_scores_that_is_told() -> None:
    found = study("", [a_run({"seed": seed}, {"final.loss": 1.0}) for seed in range(5)])
    summary = summarise(found)
    assert summary.best == [] and summary.variance == {}
    assert summary.warnings == ["No scores were asked for, so no setting is the best by one."]


# Nulls


@pytest.mark.parametrize(
    ("value", "higher", "clear"),
    [
        # Five nulls of three permutations have ten degrees of freedom, of which Student's t passes
        # 2.284 in 2.3 %: 0.5 ± 2.284 x sqrt(1 + 1/11) x 0.125 is 0.202 to 0.798.
        (0.797, True, False),
        (0.799, True, True),
        (0.2, True, False),
        (0.203, False, False),
        (0.201, False, True),
        (0.8, False, False),
    ],
)
def test_a_best_median_that_is_not_clear_of_its_null_is_told(
    value: float, higher: bool, clear: bool
) -> None:
    score = a_score("mig", value, (0.5, 0.125), higher_is_better=higher)
    found = study("", [a_run({BETA: 4, "seed": seed}, scores=[score]) for seed in range(5)])
    told = (
        f"The best median of mig, {value:.3g} (objective.beta 4), is within its null"
        " (0.5 ± 0.12): codes that know nothing of the factors score as much."
    )
    assert summarise(found).warnings == ([] if clear else [told])
    assert the_best(found).clear_of_null is clear


@pytest.mark.parametrize("clear", [True, False])
def test_the_null_is_that_of_the_best_setting(clear: bool) -> None:
    # beta 4 is the best: it leads the one null by 8 deviations, and is below the other's mean.
    far, near = (0.125, 0.05), (0.75, 0.125)
    nulls = {1: near, 4: far} if clear else {1: far, 4: near}
    runs = [
        a_run({BETA: beta, "seed": 0}, scores=[a_score("mig", 0.1 * beta + 0.125, null)])
        for beta, null in nulls.items()
    ]
    found = study("", runs)
    assert the_best(found).clear_of_null is clear
    told = "The best median of mig, 0.525 (objective.beta 4), is within its null (0.75 ± 0.12):"
    assert [one[: len(told)] for one in without_few_seeds(found)] == ([] if clear else [told])


def test_without_a_null_nothing_is_said_of_it() -> None:
    found = study("", [a_run({"seed": 0}, scores=[a_score("mig", -1.0, None)])])
    assert without_few_seeds(found) == []
    assert the_best(found).clear_of_null is None


def test_nulls_are_pooled_as_one_drawn_from_any_of_the_runs() -> None:
    nulls = [(0.1, 0.2), (0.3, 0.1), (0.5, 0.4)]
    runs = [
        a_run({"seed": seed}, scores=[a_score("mig", 0.5, null)]) for seed, null in enumerate(nulls)
    ]
    # These do not count: a null of no score, and one of a run that failed.
    runs.append(a_run({"seed": 3}, scores=[a_score("mig", None, (9, 9))]))
    runs.append(a_run({"seed": 4}, scores=[a_score("mig", 0.5, (9, 9))], state="failed"))
    found = pooled_null(study("", runs).runs, "mig")
    draws = np.random.default_rng(0)
    means, deviations = np.array(nulls)[draws.integers(0, 3, 400_000)].T
    drawn = draws.normal(means, deviations)
    assert found is not None and found.replicates == 7
    assert (found.mean, found.std) == pytest.approx((drawn.mean(), drawn.std()), abs=2e-3)


def test_the_limits_of_nulls_that_are_pooled_are_the_widest() -> None:
    def pooled(*limits: tuple[float, float] | None) -> NullDistribution | None:
        scores = [a_score("mig", 0.5).model_copy() for _ in limits]
        for score, one in zip(scores, limits, strict=True):
            score.null = NullDistribution(mean=0.1, std=0.01, replicates=50, limits=one)
        runs = [a_run({"seed": seed}, scores=[score]) for seed, score in enumerate(scores)]
        return pooled_null(study("", runs).runs, "mig")

    both, one = pooled((0.05, 0.2), (0.0, 0.15)), pooled((0.05, 0.2), None)
    assert both and both.limits == (0.0, 0.2) and both.replicates == 99
    assert one and one.limits is None


@pytest.mark.parametrize(
    "null", [(1e308, 0.0), (0.0, 1e308), (math.inf, 1.0), (math.nan, 1.0), (-1e308, math.inf)]
)
def test_nulls_that_no_float_can_pool_are_none(null: tuple[float, float]) -> None:
    runs = [a_run({"seed": seed}, scores=[a_score("mig", 0.5, null)]) for seed in range(2)]
    assert pooled_null(study("", runs).runs, "mig") is None
    # Where others can be pooled, those are.
    if not all(map(math.isfinite, null)):
        runs.append(a_run({"seed": 2}, scores=[a_score("mig", 0.5, (0.25, 0.5))]))
        found = pooled_null(study("", runs).runs, "mig")
        assert found and (found.mean, found.std, found.replicates) == (0.25, 0.5, 3)


# Correlations


def test_correlations_are_scipys_over_the_runs_that_have_both() -> None:
    draws = np.random.default_rng(0)
    # Of few values, so that there are ties.
    table = draws.integers(0, 6, (20, 4)).astype(float)
    table[:, 3] += table[:, 0]
    table[draws.random((20, 4)) < 0.2] = math.nan
    names = ["mig", "sap", "dci.completeness", "final.loss"]
    runs = [
        a_run(
            {"seed": seed},
            {name: None if math.isnan(x) else float(x) for name, x in zip(names, row, strict=True)},
        )
        for seed, row in enumerate(table)
    ]
    found = correlated(study("", runs))
    assert (found.columns, found.higher_is_better) == (names, [True, True, True, None])
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(table[:, [i, j]]).any(axis=1)
            expected = scipy.stats.spearmanr(table[both, i], table[both, j]).statistic
            assert found.matrix[i][j] == pytest.approx(expected)
            assert found.pairs[i][j] == both.sum() < 20


def test_three_pairs_have_a_correlation_and_two_have_none() -> None:
    places: list[dict[str, float | None]] = [
        {"mig": 1.0, "sap": 3.0},
        {"mig": 2.0, "sap": 2.0},
        {"mig": 3.0, "sap": None},
    ]
    two = correlated(study("", [a_run({"seed": i}, place) for i, place in enumerate(places)]))
    assert two.matrix == [[1.0, None], [None, None]]
    assert two.pairs == [[3, 2], [2, 2]]
    places[2]["sap"] = 1.0
    three = correlated(study("", [a_run({"seed": i}, place) for i, place in enumerate(places)]))
    assert three.matrix == [[1.0, -1.0], [-1.0, 1.0]]


def test_a_constant_has_no_correlation() -> None:
    assert spearman(np.array([1.0, 2.0, 3.0]), np.full(3, 0.5)) is None
    found = correlated(of_settings({1: [0.5, 0.5, 0.5]}))
    assert (found.matrix, found.pairs) == ([[None]], [[3]])


# Shares of variance


def test_shares_of_variance_by_hand() -> None:
    # Mean 3. beta 1 has 1, 3 about 2, and beta 4 has 3, 5 about 4: between settings
    # 4 x 1 = 4, within them 4 x 1 = 4.
    shares = summarise(of_settings({1: [1.0, 3.0], 4: [3.0, 5.0]})).variance["mig"]
    assert shares is not None
    assert (shares.objective, shares.hyperparameter, shares.seed) == pytest.approx((0, 0.5, 0.5))
    assert (shares.runs, shares.settings, shares.objectives) == (4, 2, 1)


def test_a_swept_objective_has_its_share() -> None:
    # Mean 4; the objectives' means 2 and 6, so 4 x 4 = 16 between them and 1 x 4 within.
    values = {"beta_vae": (1.0, 3.0), "factor_vae": (5.0, 7.0)}
    found = a_sweep(
        {"objective": list(values), "seed": [0, 1]},
        lambda place: {"mig": values[place["objective"]][place["seed"]]},
    )
    shares = summarise(found).variance["mig"]
    assert shares is not None
    assert (shares.objective, shares.hyperparameter, shares.seed) == pytest.approx((0.8, 0, 0.2))


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.5, None, None], [None, None]])
def test_a_constant_or_lonely_score_has_no_shares(values: list[float | None]) -> None:
    assert summarise(of_settings({1: values})).variance == {"mig": None}


def test_curves_have_no_shares() -> None:
    found = of_settings({1: [1.0, 2.0]}, column="final.loss")
    assert summarise(found).variance == {}


# Without labels


def using(udr: Mapping[str, float], latents: int = 5) -> dict[str, RunUdr]:
    return {id: RunUdr(value, latents) for id, value in udr.items()}


def test_best_by_udr_is_the_setting_of_the_best_median_and_its_run_of_the_highest() -> None:
    found = of_settings({1: [0.1, 0.1, 0.1], 4: [0.1, 0.1, 0.1]})
    # beta 4 has the better median, 0.5 to 0.2, and beta 1 the highest run.
    udr = {
        "r-1-0": 0.9,
        "r-1-1": 0.1,
        "r-1-2": 0.2,
        "r-4-0": 0.5,
        "r-4-1": 0.4,
        "r-4-2": 0.6,
        "not-of-this-study": 1.0,
    }
    summary = summarise(found, udr=using(udr), udr_missing="not told, as there is one")
    best = summary.best_by_udr
    assert best is not None and summary.udr_missing is None
    assert (best.setting, best.median, best.seeds) == ({BETA: 4}, 0.5, 3)
    assert (best.runner_up, best.runner_up_median) == ({BETA: 1}, 0.2)
    assert (best.run_id, best.run_udr, best.run_active_latents) == ("r-4-2", 0.6, 5)
    assert best.udr == {run_id: udr[run_id] for run_id in udr if run_id.startswith("r-")}
    assert not best.enough_seeds
    assert best.note is not None and best.note.startswith("It rests on 3 seeds;")


def test_settings_whose_models_were_not_compared_are_not_best_by_udr() -> None:
    found = of_settings({1: [0.9] * 5, 4: [0.1] * 5})
    udr = {f"r-4-{seed}": 0.1 * seed for seed in range(5)} | {"r-1-0": math.nan}
    best = summarise(found, udr=using(udr)).best_by_udr
    assert best is not None
    assert (best.setting, best.seeds, best.enough_seeds) == ({BETA: 4}, 5, True)
    assert (best.note, best.runner_up, best.runner_up_median) == (None, None, None)
    assert "r-1-0" not in best.udr


@pytest.mark.parametrize(
    ("udr", "missing", "told"),
    [
        (None, "it was not asked for.", "it was not asked for."),
        ({}, None, "the models' codes were not compared."),
        ({"r-1-0": math.nan}, "their codes are not finite.", "their codes are not finite."),
    ],
)
def test_why_there_is_no_udr_is_told(
    udr: dict[str, float] | None, missing: str | None, told: str
) -> None:
    summary = summarise(of_settings({1: [0.5]}), udr=udr and using(udr), udr_missing=missing)
    assert (summary.best_by_udr, summary.udr_missing) == (None, told)


def test_a_collapse_onto_one_latent_is_not_the_best_by_udr() -> None:
    found = of_settings({4: [0.5] * 5, 64: [0.1] * 5})
    udr = using({f"r-4-{seed}": 0.890 for seed in range(5)}, 5)
    udr |= using({f"r-64-{seed}": 0.898 for seed in range(5)}, 1)
    summary = summarise(found, udr=udr)
    best = summary.best_by_udr
    assert best is not None
    assert (best.setting, best.median, best.active_latents) == ({BETA: 4}, 0.890, 5)
    assert (best.runner_up, best.run_active_latents) == (None, 5)
    told = (
        "UDR is highest for objective.beta 64 (UDR 0.898, 1 active latents), which is not"
        " recommended: in models that use fewer than 2 latents nothing could be entangled."
    )
    assert best.note == told and summary.warnings == [told]
    # All of it is shown, side by side.
    assert [(one.median, one.active_latents, one.seeds) for one in summary.udr_by_setting] == [
        (0.890, 5, 5),
        (0.898, 1, 5),
    ]


def test_fewer_active_latents_than_others_use_are_held_against_the_best_by_udr() -> None:
    found = of_settings({4: [0.5] * 5, 16: [0.5] * 5, 64: [0.1] * 5})
    udr = using({f"r-4-{seed}": 0.5 for seed in range(5)}, 6)
    udr |= using({f"r-16-{seed}": 0.890 for seed in range(5)}, 5)
    udr |= using({f"r-64-{seed}": 0.898 for seed in range(5)}, 2)
    summary = summarise(found, udr=udr)
    best = summary.best_by_udr
    assert best is not None
    assert (best.setting, best.active_latents) == ({BETA: 64}, 2)
    assert (best.runner_up, best.runner_up_active_latents) == ({BETA: 16}, 5)
    [warning] = summary.warnings
    assert warning == best.note and warning.startswith(
        "The best setting by UDR, objective.beta 64 (UDR 0.898, 2 active latents), uses fewer"
        " latents than objective.beta 16 (UDR 0.89, 5 active latents): UDR says whether"
    )


def test_where_all_collapsed_none_is_best_by_udr() -> None:
    udr = using({f"r-4-{seed}": 0.9 for seed in range(5)}, 1)
    summary = summarise(of_settings({4: [0.5] * 5}), udr=udr)
    assert summary.best_by_udr is None and summary.udr_missing is not None
    assert "nothing in them could be entangled" in summary.udr_missing
    assert summary.udr_by_setting[0].active_latents == 1 and summary.warnings == []


def test_models_on_several_data_sets_do_not_compare_by_udr() -> None:
    def of(name: str, seed: int) -> RunResult:
        spec = {**SPEC, "dataset": {"name": name}, "objective": {"name": "vae"}, "seed": seed}
        return a_run({"dataset": name, "seed": seed}, {"mig": 0.5}, spec=spec)

    runs = [of(name, seed) for name in ("digits", "dsprites") for seed in range(5)]
    udr = using({run.run_id: 0.5 for run in runs})
    summary = summarise(study("", runs), udr=udr)
    assert summary.best_by_udr is None and len(summary.udr_by_setting) == 2
    assert summary.udr_missing == "models on several data sets do not compare; sum up those on one."


# Whatever comes


def test_no_runs_are_summed_up_too() -> None:
    summary = summarise(study("empty", []))
    assert (summary.name, summary.counts, summary.warnings) == ("empty", {}, [])
    assert (summary.best, summary.by_setting, summary.by_value) == ([], [], [])


AWKWARD = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, 0.5, 0.5, 1.0, 1e308, -1e308, 1.7e308, 5e-324, math.inf, math.nan]),
)
NULLS = st.builds(
    NullDistribution, mean=st.floats(), std=st.floats(min_value=0), replicates=st.just(3)
)
COLUMNS = {
    name: Column(name, name, name if score else None, None, {}, higher, (None, None), None)
    for name, score, higher in (
        ("mig", True, True),
        ("jemmig", True, False),
        ("kl", True, None),
        ("loss", False, None),
    )
}


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Rows as they are, since scores refuse what is not finite and rows do not."""
    runs = tuple(
        StudyRun(
            run_id=f"r{place}",
            state=draw(st.sampled_from(["succeeded"] * 4 + ["failed", "cancelled", "running"])),
            train_id=f"t{place}",
            swept={
                "model.x": draw(st.sampled_from([None, True, 1, 2.5, "a"])),
                "seed": place,
            },
            objective=draw(st.sampled_from(["beta_vae", "factor_vae"])),
            data="digits",
            seed=place,
            values={name: draw(AWKWARD) for name in COLUMNS},
            scores={
                name: with_null(name, null)
                for name, null in draw(
                    st.dictionaries(st.sampled_from(["mig", "jemmig"]), NULLS)
                ).items()
            },
            error=draw(st.sampled_from([None, "", "Diverged."])),
        )
        for place in range(draw(st.integers(0, 8)))
    )
    return Study("any", runs, ("model.x", "seed"), COLUMNS)


def refused(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(studies(), st.dictionaries(st.sampled_from([f"r{i}" for i in range(9)]), st.floats()))
def test_whatever_comes_the_summary_is_a_sound_document(
    found: Study, udr: dict[str, float]
) -> None:
    with np.errstate(all="ignore"):
        summary = summarise(found, udr=using(udr))
    text = summary.model_dump_json()
    json.loads(text, parse_constant=refused)
    # A number that is not finite would have become a null where its type has none.
    assert StudySummary.model_validate_json(text) == summary

    assert sum(summary.counts.values()) == len(found.runs)
    assert sum(one.runs for one in summary.by_setting) == len(found.runs)
    assert sum(one.runs for one in summary.by_value) == len(found.runs)
    done = [run for run in found.runs if run.state == "succeeded"]
    for name in COLUMNS:
        finite = [x for run in done if (x := run.values[name]) is not None and math.isfinite(x)]
        for group in (summary.by_setting, summary.by_value):
            assert sum(one.columns[name].n for one in group) == len(finite)
        if COLUMNS[name].higher_is_better is None:
            assert name not in {one.column for one in summary.best}
        elif finite and COLUMNS[name].metric:
            medians = [
                middle
                for one in summary.by_setting
                if (middle := one.columns[name].median) is not None
            ]
            [best] = [one for one in summary.best if one.column == name]
            assert best.median == (max if best.higher_is_better else min)(medians)
    for group in (summary.by_setting, summary.by_value):
        for column in (column for one in group for column in one.columns.values()):
            if column.median is not None:
                assert column.low is not None and column.high is not None
                assert column.low <= column.median <= column.high
            if column.ci95 is not None:
                assert column.mean is not None
                assert column.ci95[0] <= column.mean <= column.ci95[1]
