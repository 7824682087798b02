"""Every plot of a study draws, whole and the same, or says why not."""

import io
import itertools
import warnings
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ml.components.described import descriptions
from ml.components.registry import components
from ml.plots.drawing.sheet import PAGE
from ml.plots.protocol import NothingToDraw, StudyPlot, to_file
from ml.studies.study import Study, study
from tests.ml.many_runs import a_run, a_sweep, like_beta
from tests.ml.plots.study_figures import DRAWN, RICH, SETTINGS, changed, every

STUDY_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, StudyPlot)]


def plot_of(name: str) -> StudyPlot:
    plot = components("plot")[name].model_validate({"name": name})
    assert isinstance(plot, StudyPlot)
    return plot


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
    plot = components("plot")[name]
    assert set(plot.model_fields) - {"name"} <= set(descriptions(plot))
