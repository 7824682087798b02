"""Maps of a score, on studies whose answers are worked by hand."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

from ml.plots.of_studies.score_map import ScoreMap
from ml.plots.protocol import NothingToDraw, to_file
from ml.studies.study import Study, study
from tests.ml.many_runs import PIXELS, a_run, a_sweep, like_beta
from tests.ml.plots.study_figures import DRAWN, RICH, changed, every, is_first, points

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
