"""People's text in pictures and in the README of a run: shown as it is, whatever it is."""

from __future__ import annotations

import dataclasses
import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ml.components.plain_text import plain_text
from ml.components.registry import components
from ml.export.run_readme import _table, _text
from ml.plots.figure_text import powers
from ml.plots.protocol import NothingToDraw, RunPlot, StudyPlot, to_file
from tests.hostile import OBEYED, TEXTS
from tests.ml.many_runs import a_sweep, like_beta
from tests.ml.plots.test_run_plots import entangled

STUDY_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, StudyPlot)]
RUN_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, RunPlot)]


def letters(figure: Figure) -> str:
    """All text of the figure as an SVG has it, in which it is text."""
    svg = to_file(figure, "svg")
    assert not any(obeyed in svg.decode() for obeyed in OBEYED)
    return " ".join(text for text in ElementTree.fromstring(svg).itertext() if text.strip())


def without_spaces(text: str) -> str:
    """Lines may be broken anywhere, and what breaks them here be a replacement there."""
    return re.sub(r"[\s�]+", "", text)


def shown(text: str, figure: Figure) -> bool:
    """Whether a text stands in a figure, broken into lines or cut off at its end."""
    wanted = without_spaces(plain_text(text))
    return wanted[:18] in without_spaces(letters(figure))


@pytest.mark.parametrize(
    "written", ["subscripts", "fraction", "tag", "colour", "lines", "reversed"]
)
@pytest.mark.parametrize("name", STUDY_PLOTS)
def test_every_plot_of_a_study_shows_its_name_and_what_was_swept(name: str, written: str) -> None:
    text = TEXTS[written]
    sweep: dict[str, list[Any]] = {
        "objective.beta": [1.0, 4.0],
        "dataset.path": [text, "plain"],
        "seed": [0, 1],
    }
    study = a_sweep(sweep, like_beta, name=text)
    figure = components("plot")[name].model_validate({"name": name}).draw(study)
    assert Image.open(io.BytesIO(to_file(figure, "png"))).format == "PNG"
    assert shown(text, figure)


@pytest.mark.parametrize("written", ["fraction", "colour", "lines"])
@pytest.mark.parametrize("name", RUN_PLOTS)
def test_every_plot_of_a_run_takes_any_title_and_any_names(name: str, written: str) -> None:
    text = TEXTS[written]
    given = dataclasses.replace(
        entangled(rows=80),
        title=text,
        factor_names=(text, f"{text} 2", "size"),
        latent_names=dict.fromkeys(range(4), text[:40]),
        scalars={f"kl_per_latent/{k}": [(1, 1.0), (10, 0.5), (100, 2.0)] for k in range(4)}
        | {text: [(1, 1.0), (2, 2.0)], "loss": [(1, 1.0), (2, 2.0)]},
    )
    try:
        figure = components("plot")[name].model_validate({"name": name}).draw(given)
    except NothingToDraw:
        return
    assert Image.open(io.BytesIO(to_file(figure, "png"))).format == "PNG"
    assert shown(text, figure)


def test_what_is_drawn_later_is_letters_too_and_nothing_stays_changed() -> None:
    """Ticks, their labels and the offset of an axis are made while the figure is."""
    import matplotlib as mpl

    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [1, 2], label="$a_1_2$")
    axes.set_xticks([1, 2], ["$b_1_2$", "\x1b[1m"])
    axes.set_title("$c_1_2$")
    axes.set_ylabel("$d_1_2$")
    axes.legend(title="$e_1_2$")
    figure.text(0, 0, "$f_1_2$")
    found = letters(figure)
    assert all(f"${letter}_1_2$" in found for letter in "abcdef")
    assert "\N{REPLACEMENT CHARACTER}[1m" in found
    assert mpl.rcParams["text.parse_math"] is True


def test_powers_of_ten_are_letters() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1e-3, 1e3], [2, 9])
    axes.set_xscale("log")
    axes.set_yscale("log")
    found = letters(figure)
    assert "10⁻³" in found and "10²" in found and "2×10⁰" in found
    assert "$" not in found and "mathdefault" not in found
    assert powers(r"$\mathdefault{-10^{-12}}$") == "-10⁻¹²"
    assert powers("") == ""


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_readme_shows_text_in_a_row_as_it_is(text: str) -> None:
    """As CommonMark reads it: without its escapes it is the text, and nothing else is markup."""
    told = _text(text)
    assert not any(obeyed in told for obeyed in OBEYED) and "\n" not in told
    unescaped = re.sub(r"\\([!-/:-@[-`{-~])", r"\1", told)
    assert unescaped == " ".join(plain_text(text).split())
    assert re.search(r"(?<!\\)(?:\\\\)*[`*\[\]<>|#$&~]", told) is None
    [_, _, row] = _table(["name"], [[told]]).splitlines()
    assert len(re.findall(r"(?<!\\)\|", row)) == 2


def test_plain_text_keeps_what_people_write() -> None:
    for text in ("β-VAE, größer", "日本語", "\U0001f9ec", "a\tb\nc", "e\u0301", "שלום"):
        assert plain_text(text) == text
    assert plain_text("a\x00b\ud800\x7f") == "a�b��"
    assert np.all([plain_text(obeyed) == "�" for obeyed in OBEYED])
