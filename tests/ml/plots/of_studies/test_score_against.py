"""Scores against a swept value, on studies whose answers are worked by hand."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from ml.components.registry import components
from ml.components.spec_errors import InvalidSpec
from ml.metrics.protocol import NullDistribution
from ml.plots.of_studies.score_against import ScoreAgainst
from ml.plots.of_studies.score_by_objective import ScoreByObjective
from ml.plots.protocol import StudyPlot
from ml.studies.study import study
from tests.ml.many_runs import a_run, a_sweep, like_beta, with_null
from tests.ml.plots.study_figures import (
    BETAS,
    BY_BETA,
    NULLS,
    RICH,
    bands,
    changed,
    dots,
    every,
    is_in_data,
    joined,
    points,
)


def levels(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if not is_in_data(axes, line)]


def band_at(axes: Axes, x: float) -> tuple[float, float]:
    [band] = axes.collections
    corners = np.asarray(band.get_paths()[0].vertices, dtype=np.float64)
    heights = [float(y) for at, y in corners.tolist() if at == x]
    return min(heights), max(heights)


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


# t with two degrees of freedom is 4.302653 at 97.5 %.
HALF_AT_1 = 4.302653 * math.sqrt((0.2**2 + 0.1**2 + 0.3**2) / 2 / 3)


@pytest.mark.parametrize(
    ("spread", "middles", "at_1"),
    [
        ("range", [0.2, 0.4, 0.2], (0.1, 0.6)),
        ("quartiles", [0.2, 0.4, 0.2], (0.15, 0.4)),
        ("interval", [0.3, 1.6 / 3, 0.8 / 3], (0.3 - HALF_AT_1, 0.3 + HALF_AT_1)),
        ("runs", [0.2, 0.4, 0.2], None),
    ],
)
def test_the_line_is_the_middle_of_each_beta_and_the_band_its_spread(
    spread: Any, middles: list[float], at_1: tuple[float, float] | None
) -> None:
    [axes] = ScoreAgainst(spread=spread).draw(BETAS).axes
    [line] = joined(axes)
    assert [x for x, _ in points(line)] == [1, 4, 16]
    assert [y for _, y in points(line)] == pytest.approx(middles)
    assert dots(axes) == [(beta, value) for beta, values in BY_BETA.items() for value in values]
    if at_1 is None:
        assert not axes.collections
    else:
        assert band_at(axes, 1) == pytest.approx(at_1, abs=1e-6)


@pytest.mark.parametrize("state", ["failed", "running", "cancelled"])
def test_runs_that_did_not_succeed_stand_in_no_line(state: str) -> None:
    given = changed(BETAS, lambda run: run.value("mig") in (0.6, 0.9), state=state)
    [axes] = ScoreAgainst().draw(given).axes
    [line] = joined(axes)
    assert [y for _, y in points(line)] == pytest.approx([0.15, 0.35, 0.2])
    assert len(dots(axes)) == 7
    assert "7 runs" in ScoreAgainst().draw(given).get_suptitle()


def test_settings_without_a_value_are_left_out_of_the_line() -> None:
    [axes] = ScoreAgainst().draw(changed(BETAS, lambda run: run.beta == 4, state="failed")).axes
    [line] = joined(axes)
    assert [x for x, _ in points(line)] == [1, 16]


def test_an_axis_is_logarithmic_where_values_lie_far_apart() -> None:
    def scale(betas: Sequence[float], **params: Any) -> str:
        given = a_sweep({"objective.beta": betas, "seed": [0]}, like_beta)
        return ScoreAgainst(columns=["mig"], **params).draw(given).axes[0].get_xscale()

    assert scale([1.0, 2.0, 4.0, 8.0, 16.0]) == "log"
    assert scale([1.0, 2.0, 4.0]) == "linear"
    assert scale([0.0, 2.0, 16.0]) == "linear"
    assert scale([1.0, 2.0, 4.0], log_x=True) == "log"
    assert scale([1.0, 4.0, 16.0], log_x=False) == "linear"
    with pytest.raises(InvalidSpec, match=r"^log_x: expected false or null, as 0 has no place"):
        scale([0.0, 2.0, 16.0], log_x=True)


def test_a_logarithmic_y_axis_is_for_panels_above_zero() -> None:
    given = a_sweep(
        {"objective.beta": [1.0, 4.0]},
        lambda place: {"mig": place["objective.beta"], "sap": 1 - place["objective.beta"]},
    )
    mig, sap = ScoreAgainst(columns=["mig", "sap"], log_y=True).draw(given).axes
    assert (mig.get_yscale(), sap.get_yscale()) == ("log", "linear")


def test_what_else_was_swept_makes_lines_and_runs_without_x_are_levels() -> None:
    values = {"vae": [0.1, 0.3, 0.8], "beta_vae": [0.2, 0.4], "beta_tcvae": [0.5, 0.6]}
    runs = [a_run({"objective": "vae", "seed": k}, {"mig": values["vae"][k]}) for k in range(3)]
    runs += [
        a_run({"objective": {"name": name, "beta": beta}, "seed": 0}, {"mig": value})
        for name in ("beta_vae", "beta_tcvae")
        for beta, value in zip((2.0, 4.0), values[name], strict=True)
    ]
    figure = ScoreAgainst(x="objective.beta").draw(study("", runs))
    [axes] = figure.axes
    assert legend_of(figure)[:3] == ["vae", "beta_vae", "beta_tcvae"]
    assert [points(line) for line in joined(axes) if points(line)] == [
        [(2, 0.2), (4, 0.4)],
        [(2, 0.5), (4, 0.6)],
    ]
    [level] = levels(axes)
    assert {y for _, y in points(level)} == {0.3} and level.get_linestyle() == "--"


def test_truth_values_are_not_the_numbers_that_they_equal() -> None:
    given = a_sweep({"model.norm": [True, 1], "objective.beta": [1.0, 4.0]}, like_beta)
    figure = ScoreAgainst(x="objective.beta").draw(given)
    assert legend_of(figure)[:2] == ["norm true", "norm 1"]
    figure = ScoreByObjective(by="model.norm").draw(given)
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["true\nn = 2", "1\nn = 2"]


def test_the_band_is_the_pooled_null() -> None:
    # Variance within: (0.03² + 0.04²) / 2; between the means: 0.05². Two nulls of nine permutations
    # have 16 degrees of freedom.
    nulls = [NullDistribution(mean=mean, std=std, replicates=9) for mean, std in NULLS]
    given = dataclasses.replace(
        BETAS,
        runs=tuple(
            dataclasses.replace(run, scores={"mig": with_null("mig", null)} if null else {})
            for run, null in zip(BETAS.runs, [*nulls, *[None] * 7], strict=True)
        ),
    )
    figure = ScoreAgainst().draw(given)
    [band] = bands(figure.axes[0])
    assert band.get_y() == pytest.approx(POOLED[0])
    assert band.get_y() + band.get_height() == pytest.approx(POOLED[1])
    assert legend_of(figure) == ["not clear of null"]
    assert not legend_of(ScoreAgainst().draw(changed(BETAS, every, scores={})))


def test_the_band_ends_where_the_range_does() -> None:
    null = NullDistribution(mean=0.75, std=0.5, replicates=3)
    given = changed(BETAS, every, scores={"mig": with_null("mig", null)})
    [band] = bands(ScoreAgainst().draw(given).axes[0])
    assert (band.get_y(), band.get_height()) == (0, 1)


REACH = float(stats.t.ppf(stats.norm.cdf(2), 16)) * math.sqrt(1 + 1 / 17)
POOLED = (0.15 - REACH * math.sqrt(0.00375), 0.15 + REACH * math.sqrt(0.00375))


def test_the_usual_columns_have_panels_and_others_are_asked_for() -> None:
    def labels(**params: Any) -> list[str]:
        return [axes.get_ylabel() for axes in ScoreAgainst(**params).draw(RICH).axes]

    assert labels() == ["mig ↑", "sap ↑", "dci.disentanglement ↑", "final.reconstruction ↓"]
    assert labels(columns=["dci.completeness", "mig"]) == ["dci.completeness ↑", "mig ↑"]


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("score_against", {"x": "objective.bta"}, r"^x: .* a swept path .*'objective.beta'\?"),
        ("score_against", {"columns": ["sap", "mgi"]}, r"^columns\[1\]: .*mig, sap, .*'mig'\?"),
        ("score_by_objective", {"column": "mgi"}, r"^column: .*'mig'\?"),
        ("score_by_objective", {"by": "objectiv"}, r"^by: .*'objective'\?"),
        ("metric_against_metric", {"x": "mgi"}, r"^x: .*'mig'\?"),
        ("metric_against_metric", {"y": "spa"}, r"^y: .*'sap'\?"),
        ("score_map", {"score": "mgi"}, r"^score: .*'mig'\?"),
        ("score_map", {"x": "objective.bta"}, r"^x: .*beta_norm, .*'objective.beta'\?"),
        ("score_map", {"y": "latent_dim"}, r"^y: .*'model.latent_dim'\?"),
        ("score_map", {"x": "model.latent_dim", "y": "model.latent_dim"}, "^y: .*another path"),
        ("score_map", {"x": "beta_norm", "y": "beta_norm"}, "^y: .*another path"),
    ],
)
def test_unknown_names_are_refused_by_the_param_and_with_the_nearest(
    name: str, params: dict[str, Any], words: str
) -> None:
    plot = components("plot")[name].model_validate({"name": name, **params})
    assert isinstance(plot, StudyPlot)
    with pytest.raises(InvalidSpec, match=words):
        plot.draw(RICH)
