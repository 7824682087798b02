"""Plots of a study: what they say, on studies whose answers are worked by hand."""

import dataclasses
import io
import itertools
import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from PIL import Image
from pydantic import ValidationError
from scipy import stats
from scipy.stats import spearmanr

from ml.components.registry import components
from ml.components.spec_errors import InvalidSpec
from ml.metrics.protocol import NullDistribution
from ml.plots.drawing.colours import GREY
from ml.plots.drawing.matrix import hundredths
from ml.plots.drawing.sheet import PAGE
from ml.plots.of_studies.metric_against_metric import MetricAgainstMetric
from ml.plots.of_studies.score_against import ScoreAgainst
from ml.plots.of_studies.score_by_objective import ScoreByObjective, beside
from ml.plots.of_studies.score_map import ScoreMap
from ml.plots.protocol import NothingToDraw, StudyPlot, to_file
from ml.studies.study import Study, StudyRun, study
from tests.ml.many_runs import PIXELS, a_run, a_score, a_sweep, like_beta

STUDY_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, StudyPlot)]
SETTINGS: dict[str, list[Any]] = {
    "model.latent_dim": [4, 10],
    "objective.beta": [1.0, 4.0, 16.0],
    "seed": [0, 1],
}


def plot_of(name: str) -> StudyPlot:
    plot = components("plot")[name].model_validate({"name": name})
    assert isinstance(plot, StudyPlot)
    return plot


def changed(given: Study, chosen: Callable[[StudyRun], bool], **changes: Any) -> Study:
    """The study, with changes in the runs that are chosen."""
    runs = tuple(dataclasses.replace(run, **changes) if chosen(run) else run for run in given.runs)
    assert runs != given.runs
    return dataclasses.replace(given, runs=runs)


def is_first(run: StudyRun) -> bool:
    return run.beta == 1 and run.seed == 0


def every(run: StudyRun) -> bool:
    return True


def with_ends(place: Mapping[str, Any]) -> dict[str, float | None]:
    ends = {0: math.nan, 1: math.inf, 2: 1e300, 3: 1e-300, 4: -1e300}
    end = ends[(int(place["objective.beta"]) + 3 * place["seed"]) % 5]
    return {**like_beta(place), "final.loss": end}


RICH = a_sweep(SETTINGS, like_beta)

# Every plot draws these.
DRAWN = {
    "rich": RICH,
    "no name": dataclasses.replace(RICH, name=""),
    "a long name": dataclasses.replace(RICH, name="a name as people give them " * 6),
    "one seed per setting": a_sweep({**SETTINGS, "seed": [7]}, like_beta),
    "one failed run": changed(RICH, is_first, state="failed", error="loss is nan"),
    "a setting that failed": changed(RICH, lambda run: run.beta == 4, state="failed"),
    "some runs still training": changed(RICH, lambda run: run.beta != 4, state="running"),
    "a missing score": a_sweep(
        SETTINGS,
        lambda place: {**like_beta(place), "mig": None if place["seed"] else 0.2},
    ),
    "a score that all lack": a_sweep(SETTINGS, lambda place: {**like_beta(place), "mig": None}),
    "three paths": a_sweep({"optimizer.lr": [1e-4, 1e-3], **SETTINGS}, like_beta),
    "beta of zero": a_sweep({**SETTINGS, "objective.beta": [0.0, 1.0, 4.0, 16.0]}, like_beta),
    "texts and truth values": a_sweep(
        {"model.name": ["mlp", "a_network_whose_name_is_long"], "model.norm": [True, False]},
        like_beta,
    ),
    "null among numbers": a_sweep(
        {"objective.warmup": [None, 100, 1000], "objective.beta": [1.0, 4.0]}, like_beta
    ),
    "lists": a_sweep(
        {"model.hidden": [[256, 256], [1024, 1024, 1024]], "objective.beta": [1.0, 4.0]}, like_beta
    ),
    "a hundred settings": a_sweep(
        {
            "model.latent_dim": list(range(2, 12)),
            "objective.beta": [2.0**power for power in range(-3, 7)],
        },
        like_beta,
    ),
    "a hundred texts": a_sweep(
        {
            "model.name": [f"network_number_{k}" for k in range(10)],
            "dataset.name": [f"data_set_number_{k}" for k in range(10)],
        },
        like_beta,
    ),
    "many rows": a_sweep(
        {"model.name": ["mlp", "cnn"], "objective.gamma": list(range(1, 81))}, like_beta
    ),
    "whole objectives": a_sweep(
        {
            "objective": [
                "vae",
                *({"name": "beta_vae", "beta": beta} for beta in (2.0, 4.0)),
                {"name": "factor_vae", "gamma": 10.0},
            ],
            "model.latent_dim": [4, 10],
            "seed": [0, 1],
        },
        like_beta,
    ),
    "without nulls": changed(RICH, every, nulls={}),
    "ends that are not finite": a_sweep(SETTINGS, with_ends),
    "constant scores": a_sweep(SETTINGS, lambda place: {"mig": 0.25, "sap": 0.0}),
    "huge scores": a_sweep(
        SETTINGS,
        lambda place: {"mig": 1e300 * place["objective.beta"], "sap": -1e-300, "final.kl": 2e9},
    ),
    "negative scores": a_sweep(
        SETTINGS, lambda place: {"mig": -place["objective.beta"], "sap": -1.5}
    ),
    "a long column": a_sweep(
        SETTINGS,
        lambda place: {
            "explicitness.explicitness_train": 0.5 + place["seed"] / 10,
            "final.reconstruction": place["objective.beta"],
        },
    ),
    "two definitions of a score": study(
        "",
        [
            a_run(
                {"model.latent_dim": latents, "objective.beta": beta},
                scores=[
                    a_score("dci.disentanglement", beta / 9, params={"predictor": predictor})
                    for predictor in ("lasso", "gradient_boosting")
                ],
            )
            for latents in (4, 10)
            for beta in (1.0, 4.0)
        ],
    ),
}

# Each plot draws these, or says why not.
POOR = {
    "one run": a_sweep({"objective.beta": [4.0]}, like_beta),
    "nothing swept": study("", [a_run({}, like_beta({}))]),
    "seeds alone": a_sweep({"seed": [0, 1, 2]}, like_beta),
    "one path": a_sweep({"objective.beta": [1.0, 4.0, 16.0], "seed": [0, 1]}, like_beta),
    "one score": a_sweep(SETTINGS, lambda place: {"mig": place["objective.beta"]}),
    "ends of curves alone": a_sweep(SETTINGS, lambda place: {"final.kl": place["seed"]}),
}

# No plot has anything of these.
EMPTY = {
    "no runs": study("", []),
    "all failed": changed(RICH, every, state="failed", error="loss is nan"),
    "all training": study(
        "", [a_run({"objective.beta": beta}, state="running") for beta in (1, 4)]
    ),
    "no scores": a_sweep(SETTINGS, lambda place: {}),
    "scores without values": a_sweep(SETTINGS, lambda place: {"mig": None, "sap": None}),
}


def drawn(name: str, given: Study) -> Figure:
    """The figure, made into both kinds of files without a warning of matplotlib's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_of(name).draw(given)
        picture = Image.open(io.BytesIO(to_file(figure, "png")))
        assert picture.format == "PNG"
        assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 1  # Not a blank sheet.
        ElementTree.fromstring(to_file(figure, "svg"))
    return figure


@pytest.mark.parametrize("case", DRAWN)
@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_every_plot_draws_and_nothing_is_cut_off_or_overlaps(name: str, case: str) -> None:
    figure = drawn(name, DRAWN[case])
    width, height = figure.get_size_inches()
    assert 3 <= width <= PAGE
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    tight = figure.get_tightbbox(renderer)
    assert tight.x0 > -0.01 and tight.y0 > -0.01
    assert tight.x1 < width + 0.01 and tight.y1 < height + 0.01
    for axes in figure.axes:
        if not axes.axison or axes.get_label() == "<colorbar>":
            continue
        panel = axes.get_window_extent(renderer)
        label = axes.yaxis.label.get_window_extent(renderer)
        assert label.height < 1.1 * panel.height
        assert panel.width > 1.2 * figure.dpi and panel.height > 0.9 * figure.dpi
        for axis in (axes.xaxis, axes.yaxis):
            shown = [
                tick.label1.get_window_extent(renderer)
                for tick in axis.get_major_ticks()
                if tick.label1.get_text() and tick.label1.get_rotation() in (0, 90)
            ]
            for one, next_one in itertools.pairwise(shown):
                assert one.count_overlaps([next_one]) == 0


@pytest.mark.parametrize("case", POOR)
@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_every_plot_draws_or_says_why_not(name: str, case: str) -> None:
    try:
        drawn(name, POOR[case])
    except NothingToDraw as nothing:
        assert_sentence(nothing)


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_no_plot_makes_a_picture_of_nothing(name: str, case: str) -> None:
    with pytest.raises(NothingToDraw) as nothing:
        drawn(name, EMPTY[case])
    assert_sentence(nothing.value)


def assert_sentence(nothing: NothingToDraw) -> None:
    words = str(nothing)
    assert words[0].isupper() and words.endswith(".") and len(words.split()) > 4


@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_the_same_study_gives_the_same_files(name: str) -> None:
    for format in ("png", "svg"):
        first = to_file(plot_of(name).draw(RICH), format)
        assert first == to_file(plot_of(name).draw(RICH), format)


@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_every_param_is_described(name: str) -> None:
    fields = components("plot")[name].model_fields
    assert all(field.description for param, field in fields.items() if param != "name")


# Scores against what was swept.

BY_BETA = {1.0: [0.1, 0.2, 0.6], 4.0: [0.3, 0.4, 0.9], 16.0: [0.5, 0.1, 0.2]}
"""MIG by beta and seed."""


def by_beta(place: Mapping[str, Any]) -> dict[str, float | None]:
    return {"mig": BY_BETA[place["objective.beta"]][place["seed"]]}


BETAS = a_sweep({"objective.beta": list(BY_BETA), "seed": [0, 1, 2]}, by_beta)


def joined(axes: Axes) -> list[Line2D]:
    """The lines, without the dots of runs and levels across the panel."""
    return [line for line in axes.lines if line.get_marker() == "None" and is_in_data(axes, line)]


def levels(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if not is_in_data(axes, line)]


def is_in_data(axes: Axes, line: Line2D) -> bool:
    return line.get_transform() == axes.transData


def points(line: Line2D) -> list[tuple[float, float]]:
    places: Any = np.asarray(line.get_xydata())
    return [(float(x), float(y)) for x, y in places]


def dots(axes: Axes) -> list[tuple[float, float]]:
    return [one for line in axes.lines if line.get_marker() == "o" for one in points(line)]


def band_at(axes: Axes, x: float) -> tuple[float, float]:
    [band] = axes.collections
    corners = np.asarray(band.get_paths()[0].vertices, dtype=np.float64)
    heights = [float(y) for at, y in corners.tolist() if at == x]
    return min(heights), max(heights)


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def bands(axes: Axes) -> list[Rectangle]:
    """The bands of nulls."""
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_facecolor()) == GREY.lower()
    ]


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
            dataclasses.replace(run, nulls={"mig": null} if null else {})
            for run, null in zip(BETAS.runs, [*nulls, *[None] * 7], strict=True)
        ),
    )
    figure = ScoreAgainst().draw(given)
    [band] = bands(figure.axes[0])
    assert band.get_y() == pytest.approx(POOLED[0])
    assert band.get_y() + band.get_height() == pytest.approx(POOLED[1])
    assert legend_of(figure) == ["not clear of null"]
    assert not legend_of(ScoreAgainst().draw(changed(BETAS, every, nulls={})))


def test_the_band_ends_where_the_range_does() -> None:
    null = NullDistribution(mean=0.75, std=0.5, replicates=3)
    given = changed(BETAS, every, nulls={"mig": null})
    [band] = bands(ScoreAgainst().draw(given).axes[0])
    assert (band.get_y(), band.get_height()) == (0, 1)


NULLS = [(0.1, 0.03), (0.2, 0.04)]
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


# Scores by objective.

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
    given = changed(BY_OBJECTIVE, lambda run: run.objective == "factor_vae", nulls={})
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


# One metric against another.


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


# A score over two swept values.

CELLS = {
    (4, 1.0): [0.1, 0.2, 0.6],
    (4, 4.0): [0.3, 0.5],
    (10, 1.0): [0.4],
    (10, 4.0): [0.9, 0.7, 0.8],
}
"""MIG by latents and beta."""
MEDIANS = {(4, 1.0): 0.2, (4, 4.0): 0.4, (10, 1.0): 0.4, (10, 4.0): 0.8}


def a_map(cells: Mapping[tuple[int, float], Sequence[float]], column: str = "mig") -> Study:
    return study(
        "",
        [
            a_run(
                {"model.latent_dim": latents, "objective.beta": beta, "seed": seed}, {column: value}
            )
            for (latents, beta), values in cells.items()
            for seed, value in enumerate(values)
        ],
    )


def boxes(axes: Axes) -> list[tuple[float, float, float, float]]:
    """The cells that have a value, as left, right, bottom and top."""
    found = []
    for path in axes.collections[0].get_paths():
        low, high = path.get_extents().min, path.get_extents().max
        found.append((low[0], high[0], low[1], high[1]))
    return found


def box_at(axes: Axes, x: float, y: float) -> int:
    [place] = [
        k
        for k, (left, right, bottom, top) in enumerate(boxes(axes))
        if left < x < right and bottom < y < top
    ]
    return place


def number_at(axes: Axes, x: float, y: float) -> str:
    left, right, bottom, top = boxes(axes)[box_at(axes, x, y)]
    [text] = [
        text.get_text()
        for text in axes.texts
        if text.get_text() != "β = 1"
        and left < text.get_position()[0] < right
        and bottom < text.get_position()[1] < top
    ]
    return text


def hatched(axes: Axes) -> list[Rectangle]:
    return [one for one in axes.patches if isinstance(one, Rectangle) and one.get_hatch()]


def unit_beta(axes: Axes) -> list[tuple[float, float]]:
    """The line on which beta is 1."""
    return points(axes.lines[-1])


def darkness(axes: Axes) -> list[float]:
    return [-float(sum(colour[:3])) for colour in np.asarray(axes.collections[0].get_facecolor())]


def test_cells_are_medians_at_their_latents_and_normalised_beta() -> None:
    figure = ScoreMap().draw(a_map(CELLS))
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_yscale()) == ("model.latent_dim", "log")
    assert axes.get_ylabel() == "beta_norm (β × latents / pixels)"
    for (latents, beta), median in MEDIANS.items():
        # The medians were worked by hand.
        assert statistics.median(CELLS[latents, beta]) == pytest.approx(median)
        assert number_at(axes, latents, beta * latents / PIXELS) == f"{median:.1f}0"
    assert not hatched(axes)
    assert figure.get_suptitle() == "mig, median of 1 to 3 runs a cell"


def test_each_column_has_edges_of_its_own_half_way_between_its_normalised_betas() -> None:
    axes = ScoreMap().draw(a_map(CELLS)).axes[0]
    for latents, across in ((4, (1, 7)), (10, (7, 13))):
        low, high = latents / PIXELS, 4 * latents / PIXELS
        # On a logarithmic axis half way between 1 and 4 is 2, and the cells reach as far outwards.
        below = boxes(axes)[box_at(axes, latents, low)]
        above = boxes(axes)[box_at(axes, latents, high)]
        assert below == pytest.approx((*across, low / 2, low * 2))
        assert above == pytest.approx((*across, high / 2, high * 2))


def test_beta_is_one_at_latents_over_pixels() -> None:
    axes = ScoreMap().draw(a_map(CELLS)).axes[0]
    steps = [(1, 4 / PIXELS), (7, 4 / PIXELS), (7, 10 / PIXELS), (13, 10 / PIXELS)]
    np.testing.assert_allclose(unit_beta(axes), steps)
    [label] = [text for text in axes.texts if isinstance(text, Annotation)]
    assert label.get_text() == "β = 1"
    assert label.xy == pytest.approx((13, 10 / PIXELS))


def test_normalised_beta_may_lie_along_x() -> None:
    axes = ScoreMap(x="beta_norm").draw(a_map(CELLS)).axes[0]
    assert (axes.get_ylabel(), axes.get_xscale()) == ("model.latent_dim", "log")
    for (latents, beta), median in MEDIANS.items():
        assert number_at(axes, beta * latents / PIXELS, latents) == f"{median:.1f}0"
    assert len(boxes(axes)) == 4 and not hatched(axes)
    assert unit_beta(axes)[0] == pytest.approx((4 / PIXELS, 1))
    assert unit_beta(axes)[-1] == pytest.approx((10 / PIXELS, 13))


def test_plain_beta_is_a_grid_with_a_level_line_at_one() -> None:
    axes = ScoreMap(y="objective.beta").draw(a_map(CELLS)).axes[0]
    assert axes.get_ylabel() == "objective.beta"
    for (latents, beta), median in MEDIANS.items():
        assert number_at(axes, latents, beta) == f"{median:.1f}0"
    assert {y for _, y in unit_beta(axes)} == {1}
    axes = ScoreMap(x="objective.beta").draw(a_map(CELLS)).axes[0]
    assert number_at(axes, 4, 10) == "0.80" and {x for x, _ in unit_beta(axes)} == {1}


@pytest.mark.parametrize("y", [None, "objective.beta"])
def test_without_a_beta_of_one_in_the_map_there_is_no_line(y: str | None) -> None:
    given = a_map({(latents, 16 * beta): found for (latents, beta), found in CELLS.items()})
    axes = ScoreMap(y=y).draw(given).axes[0]
    assert not axes.lines and "β = 1" not in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("y", [None, "objective.beta"])
def test_a_cell_without_a_run_that_counts_is_hatched(y: str | None) -> None:
    # The only run of one cell, and one of three of another.
    given = changed(a_map(CELLS), lambda run: run.value("mig") in (0.4, 0.9), state="failed")
    figure = ScoreMap(y=y).draw(given)
    axes = figure.axes[0]
    [place] = hatched(axes)
    height = 1.0 if y else 10 / PIXELS
    assert place.get_x() < 10 < place.get_x() + place.get_width()
    assert place.get_y() < height < place.get_y() + place.get_height()
    assert len(boxes(axes)) == 3 and number_at(axes, 10, 4 * height) == "0.75"
    assert figure.get_suptitle().endswith("; hatched: none")


def test_places_that_the_sweep_left_out_are_hatched() -> None:
    cells = {place: values for place, values in CELLS.items() if place != (10, 1.0)}
    assert len(hatched(ScoreMap(y="objective.beta").draw(a_map(cells)).axes[0])) == 1


@pytest.mark.parametrize(
    ("column", "best"), [("mig", (10, 4.0)), ("elbo.reconstruction", (4, 1.0))]
)
def test_the_best_cell_is_the_darkest(column: str, best: tuple[int, float]) -> None:
    figure = ScoreMap(y="objective.beta").draw(a_map(CELLS, column))
    axes, bar = figure.axes
    found = darkness(axes)
    assert found.index(max(found)) == box_at(axes, *best)
    assert bar.get_ylabel() == ("mig ↑" if column == "mig" else "elbo.reconstruction ↓")


def test_numbers_can_be_read_on_their_colours() -> None:
    axes = ScoreMap(y="objective.beta").draw(a_map(CELLS)).axes[0]
    by_number = {text.get_text(): text.get_color() for text in axes.texts}
    assert by_number["0.80"] == "white" and by_number["0.20"] == "black"


def test_cells_too_small_for_numbers_have_none() -> None:
    small = {(latents, 2.0**power): [0.123] for latents in range(2, 40) for power in range(12)}
    assert [text.get_text() for text in ScoreMap().draw(a_map(small)).axes[0].texts] == ["β = 1"]

    low = a_sweep({"model.name": ["mlp", "cnn"], "training.steps": list(range(1, 81))}, like_beta)
    axes = ScoreMap(x="model.name").draw(low).axes[0]
    assert not axes.texts and 20 < len(axes.get_yticklabels()) < 80


def test_a_constant_score_has_the_colour_in_the_middle() -> None:
    for value in (0.0, 0.25, -3.0):
        axes, bar = ScoreMap().draw(a_map({place: [value] for place in CELLS})).axes
        colours = np.asarray(axes.collections[0].get_facecolor())
        np.testing.assert_allclose(colours, [colormaps["YlGnBu"](0.5)] * 4, atol=0.02)
        low, high = bar.get_ylim()
        assert low < value < high and low + high == pytest.approx(2 * value)


def test_a_number_that_neither_is_better_of_has_no_arrow_and_no_colours_of_better() -> None:
    for column, label, colours in (
        ("mig", "mig ↑", "YlGnBu"),
        ("elbo.reconstruction", "elbo.reconstruction ↓", "YlGnBu_r"),
        ("elbo.kl", "elbo.kl", "Greys"),
    ):
        axes, bar = ScoreMap(score=column).draw(a_map(CELLS, column)).axes
        assert bar.get_ylabel() == label
        largest = max(axes.collections[0].get_facecolor(), key=lambda colour: -sum(colour[:3]))
        np.testing.assert_allclose(largest, colormaps[colours](1.0 if "_r" not in colours else 0.0))


def test_long_names_are_cut_beside_a_map() -> None:
    names = ["a network with a very long name", "another"]
    axes = ScoreMap().draw(a_sweep({"objective.beta": [1, 4], "model.name": names}, like_beta)).axes
    ticks = [label.get_text() for label in axes[0].get_yticklabels()]
    assert ticks == ["a network with a ve…", "another"]


def test_few_decades_of_normalised_beta_have_ticks_between_the_powers_of_ten() -> None:
    figure = ScoreMap().draw(a_map(CELLS))
    to_file(figure, "png")
    low, high = figure.axes[0].get_ylim()
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    shown = [tick for tick in ticks if low <= float(tick) <= high]
    assert shown == ["0.0005", "0.001", "0.002", "0.005", "0.01"]


def axes_of(given: Study, **params: Any) -> tuple[str, str]:
    axes = ScoreMap(**params).draw(given).axes[0]
    return axes.get_xlabel(), axes.get_ylabel().partition(" ")[0]


def test_axes_are_the_numeric_paths_with_beta_upright() -> None:
    beta: dict[str, list[Any]] = {"objective.beta": [1.0, 4.0]}
    lr: dict[str, list[Any]] = {"optimizer.lr": [1e-4, 1e-3]}
    batch: dict[str, list[Any]] = {"training.batch_size": [16, 64]}
    latents: dict[str, list[Any]] = {"model.latent_dim": [4, 10]}
    name: dict[str, list[Any]] = {"model.name": ["mlp", "cnn"]}
    for sweep, expected in (
        (beta | lr, ("optimizer.lr", "objective.beta")),
        (lr | batch, ("optimizer.lr", "training.batch_size")),
        (name | lr | beta, ("optimizer.lr", "objective.beta")),
        (name | batch, ("training.batch_size", "model.name")),
        (name | beta, ("objective.beta", "model.name")),
        (beta | latents, ("model.latent_dim", "beta_norm")),
        (beta | {"model.latent_dim": [4], "seed": [0, 1]} | lr, ("optimizer.lr", "objective.beta")),
    ):
        assert axes_of(a_sweep(sweep, like_beta)) == expected
    given = a_sweep(beta | lr | name, like_beta)
    assert axes_of(given, x="model.name") == ("model.name", "objective.beta")
    assert axes_of(given, y="model.name") == ("optimizer.lr", "model.name")
    assert axes_of(given, y="beta_norm") == ("optimizer.lr", "beta_norm")
    assert axes_of(given, x="objective.beta", y="optimizer.lr") == (
        "objective.beta",
        "optimizer.lr",
    )


def test_beta_is_plain_where_a_run_has_no_normalised_one() -> None:
    one = changed(RICH, is_first, beta_norm=None)
    assert axes_of(one) == ("model.latent_dim", "objective.beta")
    # A run that counts for nothing does not matter.
    assert axes_of(changed(one, is_first, state="failed")) == ("model.latent_dim", "beta_norm")
    zero = DRAWN["beta of zero"]
    assert axes_of(zero) == ("model.latent_dim", "objective.beta")


def test_values_that_are_no_numbers_lie_side_by_side() -> None:
    given = a_sweep(
        {"model.norm": [True, 1, None], "model.name": ["mlp", "cnn"]},
        lambda place: {"mig": 0.1 if place["model.norm"] is True else 0.5},
    )
    axes = ScoreMap().draw(given).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["true", "1", "null"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mlp", "cnn"]
    assert [number_at(axes, x, 1) for x in range(3)] == ["0.10", "0.50", "0.50"]
    assert boxes(axes)[box_at(axes, 2, 1)] == pytest.approx((1.5, 2.5, 0.5, 1.5))


def test_numbers_lie_side_by_side_where_their_cells_would_be_too_narrow() -> None:
    given = a_sweep(
        {"optimizer.lr": [1.0, 2.0], "objective.beta": [0.0, 0.5, 4.0, 64.0]}, like_beta
    )
    axes = ScoreMap().draw(given).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.5", "4", "64"]
    assert {round(top - bottom, 6) for _, _, bottom, top in boxes(axes)} == {1}
    # Of the way from 0.5 to 4 one is a seventh.
    assert [y for _, y in unit_beta(axes)] == pytest.approx([1 + 1 / 7] * 4)


def test_what_else_was_swept_stands_together_and_is_told() -> None:
    given = a_sweep(
        {"optimizer.lr": [1e-4, 1e-3], "model.latent_dim": [4, 10], "objective.beta": [1.0, 4.0]},
        lambda place: {"mig": 0.2 if place["optimizer.lr"] == 1e-4 else 0.6},
    )
    figure = ScoreMap(x="model.latent_dim").draw(given)
    assert number_at(figure.axes[0], 4, 4 / PIXELS) == "0.40"
    assert figure.get_suptitle() == "a sweep: mig, median of 2 runs a cell (any lr)"


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"seed": [0, 1]}, "there are none"),
        ({"objective.beta": [1.0, 4.0], "seed": [0, 1]}, "there is 1"),
        ({"objective.beta": [1.0, 4.0], "model.latent_dim": [4]}, "there is 1"),
    ],
)
def test_a_map_needs_two_paths_with_two_values(sweep: dict[str, Any], words: str) -> None:
    with pytest.raises(NothingToDraw, match=rf"two swept paths, the seed aside, .*{words}; .*\.$"):
        ScoreMap().draw(a_sweep(sweep, like_beta))


def test_a_map_of_a_score_that_no_run_has_says_so() -> None:
    with pytest.raises(NothingToDraw, match=r"has a value of mig yet\.$"):
        ScoreMap(score="mig").draw(DRAWN["a score that all lack"])
    with pytest.raises(NothingToDraw, match=r"has both model.latent_dim and beta_norm\.$"):
        ScoreMap(y="beta_norm").draw(changed(RICH, every, beta=None, beta_norm=None))
