"""What the uncertainty of a setting's mean comes from."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t

from heddle.cli.output.results import summary_tables
from ml.studies.seeds_or_rows import seeds_or_rows, seeds_to_halve
from ml.studies.study import RunResult, study
from ml.studies.summary import summarise
from tests.ml.many_runs import a_run, a_score


def test_seeds_that_halve_an_interval_worked_by_hand() -> None:
    # By Student's t, 2.776 / sqrt(5) = 1.241, 2.201 / sqrt(12) = 0.635, 2.179 / sqrt(13) = 0.604.
    assert seeds_to_halve(5) == 13
    # 12.71 / sqrt(2) = 8.98, 4.303 / sqrt(3) = 2.48.
    assert seeds_to_halve(2) == 3
    # Of many seeds the deviation is known.
    assert seeds_to_halve(1000) == pytest.approx(4000, rel=0.002)


def test_the_larger_part_is_what_there_should_be_more_of() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = seeds_or_rows(values, [0.01] * 5)
    assert found is not None and (found.more, found.seeds_to_halve) == ("seeds", 13)
    half = t.ppf(0.975, 4) * np.std(values, ddof=1) / np.sqrt(5)
    assert found.of_seeds == pytest.approx(half)
    assert found.advice == (
        "more seeds, not more rows: the mean of 5 seeds is uncertain by ±0.2 through seeds and by"
        " ±0.01 at most through rows; 13 seeds would halve the former"
    )
    alike = seeds_or_rows([0.50, 0.51, 0.50, 0.51], [0.3, 0.4, 0.3, 0.4])
    assert alike is not None and alike.more == "rows"
    assert alike.of_rows == pytest.approx(np.sqrt(0.125))
    assert alike.advice is not None and alike.advice.startswith("more rows, not more seeds")


def test_what_is_unknown_is_null() -> None:
    assert seeds_or_rows([0.5], [0.1]) is None
    assert seeds_or_rows([1e308, -1e308], [0.1, 0.1]) is None
    without = seeds_or_rows([0.4, 0.5], [0.1, None])
    assert without is not None
    assert (without.of_rows, without.more, without.advice) == (None, None, None)
    # Of a population there is no error through rows, and equal runs have none through seeds.
    equal = seeds_or_rows([0.5, 0.5], [0.0, 0.0])
    assert equal is not None and (equal.more, equal.seeds_to_halve) == (None, None)


def test_a_summary_says_it_of_each_setting_by_the_runs_intervals() -> None:
    def runs(beta: float, values: list[float], half: float) -> list[RunResult]:
        return [
            a_run(
                {"objective.beta": beta, "seed": seed},
                # The upper end is cut to the range.
                scores=[a_score("mig", value, ci95=(value - half, min(1.0, value + half)))],
            )
            for seed, value in enumerate(values)
        ]

    results = [*runs(1.0, [0.2, 0.4, 0.6], 0.01), *runs(4.0, [0.98, 0.981, 0.98], 0.1)]
    summary = summarise(study("", results))
    found = [one.uncertainty["mig"] for one in summary.by_setting]
    assert [one.more for one in found] == ["seeds", "rows"]
    assert found[1].of_rows == pytest.approx(0.1)
    few = summarise(study("", runs(1.0, [0.2], 0.01)))
    assert few.by_setting[0].uncertainty == {}
    printed = io.StringIO()
    tables = summary_tables(summary.model_dump(mode="json"))
    Console(file=printed, width=120).print(tables)
    # The best setting is the second.
    assert "more of" in printed.getvalue() and "rows" in printed.getvalue()
