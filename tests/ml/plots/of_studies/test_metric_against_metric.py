"""One metric against another, on studies whose answers are worked by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import spearmanr

from ml.plots.drawing.matrix import hundredths
from ml.plots.of_studies.metric_against_metric import MetricAgainstMetric
from ml.studies.study import Study
from tests.ml.many_runs import a_sweep, like_beta
from tests.ml.plots.study_figures import RICH, SETTINGS, changed, dots, is_first


def with_ties(place: Mapping[str, Any]) -> dict[str, float | None]:
    numbers = like_beta(place)
    return {"mig": round(numbers["mig"] or 0, 1), "sap": numbers["sap"], "final.kl": numbers["sap"]}


def test_the_correlation_is_scipys_over_the_runs_that_have_both() -> None:
    given = a_sweep({**SETTINGS, "seed": list(range(4))}, with_ties)
    given = changed(given, is_first, state="failed")
    given = changed(given, lambda run: run.seed == 3 and run.beta == 4, values={"mig": 0.1})
    pairs = np.array(
        [
            (run.value("mig"), run.value("sap"))
            for run in given.runs
            if run.state == "succeeded" and run.value("sap") is not None
        ]
    )
    assert len(pairs) == 24 - 4 and len(set(pairs[:, 0])) < len(pairs) / 3  # Ties.
    figure = MetricAgainstMetric().draw(given)
    rho = spearmanr(*pairs.T).statistic
    assert abs(rho) < 0.99
    assert figure.get_suptitle() == f"a sweep: 20 runs, Spearman's ρ = {rho:.2f}"
    assert sorted(dots(figure.axes[0])) == sorted(map(tuple, pairs.tolist()))


def test_too_few_or_constant_numbers_have_no_correlation() -> None:
    for sweep in ({"seed": [0, 1]}, {"seed": [0, 1, 2]}):
        given = a_sweep(sweep, lambda place: {"mig": place["seed"] // 2, "sap": 0.5})
        assert "no rank correlation" in MetricAgainstMetric().draw(given).get_suptitle()


def test_dots_are_coloured_by_objective_else_by_what_was_swept() -> None:
    def legend(given: Study) -> tuple[str, list[str]]:
        found = MetricAgainstMetric().draw(given).axes[0].get_legend()
        assert found
        return found.get_title().get_text(), [text.get_text() for text in found.get_texts()]

    two = a_sweep({"objective.name": ["vae", "beta_vae"], "seed": [0, 1]}, like_beta)
    assert legend(two) == ("objective", ["vae", "beta_vae"])
    by_beta = a_sweep({"objective.beta": [16.0, 1.0], "seed": [0, 1]}, like_beta)
    assert legend(by_beta) == ("objective.beta", ["1", "16"])


def test_the_matrix_has_the_correlations_of_all_columns() -> None:
    given = changed(RICH, is_first, state="failed")
    figure = MetricAgainstMetric(all=True).draw(given)
    table = np.array(
        [[run.value(name) for name in given.columns] for run in given.runs if not is_first(run)]
    )
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, spearmanr(table).statistic)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [hundredths(value) for value in shown.flat]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "mig ↑" and labels[-1] == "final.kl"


def test_hundredths_have_no_leading_and_no_negative_zero() -> None:
    told = {0.07: ".07", -0.07: "-.07", -0.001: ".00", 0.999: "1.00", -1.0: "-1.00", 0.994: ".99"}
    assert {value: hundredths(value) for value in told} == told


def test_params_for_two_columns_are_refused_for_all() -> None:
    with pytest.raises(ValidationError, match="x and y are for two columns"):
        MetricAgainstMetric(all=True, x="mig")
