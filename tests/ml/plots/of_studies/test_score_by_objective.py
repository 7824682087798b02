"""Scores by objective, on studies whose answers are worked by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from ml.plots.of_studies.score_by_objective import ScoreByObjective, beside
from ml.studies.study import study
from tests.ml.many_runs import a_run, a_score
from tests.ml.plots.study_figures import BETAS, NULLS, bands, changed, dots, joined, points

OBJECTIVES = {
    "beta_vae": [0.1, 0.2, 0.2, 0.4, 0.9],
    "factor_vae": [0.3, 0.5],
}
BY_OBJECTIVE = study(
    "",
    [
        a_run(
            {"objective.name": name, "seed": seed},
            scores=[a_score("mig", value, null=NULLS[seed % 2])],
        )
        for name, values in OBJECTIVES.items()
        for seed, value in enumerate(values)
    ],
)


def test_every_run_is_a_dot_and_the_bar_the_median() -> None:
    [axes] = ScoreByObjective().draw(BY_OBJECTIVE).axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["beta_vae\nn = 5", "factor_vae\nn = 2"]
    for place, values in enumerate(OBJECTIVES.values()):
        assert [y for x, y in dots(axes) if round(x) == place] == values
    assert [[y for _, y in points(bar)] for bar in joined(axes)] == [[0.2, 0.2], [0.4, 0.4]]
    # A density of two runs would be made up.
    assert len(axes.collections) == 1


def test_each_group_stands_before_its_own_null() -> None:
    given = changed(BY_OBJECTIVE, lambda run: run.objective == "factor_vae", scores={})
    [axes] = ScoreByObjective().draw(given).axes
    [band] = bands(axes)
    # Three nulls of the first kind and two of the second.
    mean = (3 * 0.1 + 2 * 0.2) / 5
    variance = (3 * 0.03**2 + 2 * 0.04**2) / 5 + (3 * 0.04**2 + 2 * 0.06**2) / 5
    # Five nulls of three permutations.
    reach = float(stats.t.ppf(stats.norm.cdf(2), 10)) * math.sqrt(1 + 1 / 11)
    assert band.get_y() == pytest.approx(max(0, mean - reach * math.sqrt(variance)))
    top = mean + reach * math.sqrt(variance)
    assert band.get_y() + band.get_height() == pytest.approx(top)
    assert band.get_x() < -0.3 and 0.3 < band.get_x() + band.get_width() < 0.5
    assert len(bands(ScoreByObjective().draw(BY_OBJECTIVE).axes[0])) == 2


def test_groups_may_be_by_a_swept_value_in_rising_order() -> None:
    figure = ScoreByObjective(by="objective.beta").draw(BETAS)
    [axes] = figure.axes
    ticks = [label.get_text().partition("\n")[0] for label in axes.get_xticklabels()]
    assert ticks == ["1", "4", "16"] and axes.get_xlabel() == "objective.beta"
    assert [points(bar)[0][1] for bar in joined(axes)] == [0.2, 0.4, 0.2]


def test_dots_of_one_value_lie_beside_each_other_within_their_group() -> None:
    np.testing.assert_allclose(beside([0.5, 0.5, 0.5, 0.9]), [0, 0.07, -0.07, 0], atol=1e-12)
    many = beside([1.0] * 50)
    assert len(set(many.round(6))) == 50 and np.abs(many).max() < 0.38
