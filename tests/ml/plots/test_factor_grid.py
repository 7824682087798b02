"""The picture of a data set."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from ml.components.registry import components
from ml.components.spec_errors import InvalidSpec
from ml.datasets.dataset import Dataset
from ml.plots.of_datasets.factor_grid import FactorGrid, through
from ml.plots.protocol import DatasetPlot, to_file

SIDE = 8


def numbered(
    sizes: tuple[int, ...], labels: object = "grid", *, images: int | None = None, channels: int = 1
) -> Dataset:
    """Each image is a plain one of its own index."""
    count = math.prod(sizes) if images is None else images
    storage = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Dataset(
        name="numbered",
        storage=np.broadcast_to(storage, (count, SIDE, SIDE, channels)).copy(),
        image_shape=(SIDE, SIDE, channels),
        factor_names=tuple("abcdef"[: len(sizes)]),
        factor_sizes=sizes,
        labels=labels,  # type: ignore[arg-type]
        max_value=255,
        source="rendered",
    )


def shown(figure: Figure, rows: int) -> list[list[int]]:
    """The indices of the images in each row of the picture; 255 is white."""
    [axes] = figure.axes
    sheet = np.asarray(axes.images[0].get_array())
    sheet = sheet if sheet.ndim == 2 else sheet[..., 0]
    tops = [round(row * (sheet.shape[0] + 1) / rows) for row in range(rows)]
    return [[round(float(v) * 255) for v in sheet[top + 1, 1 :: SIDE + 1]] for top in tops]


GRID = (3, 5, 2)


def test_each_row_leads_one_factor_while_the_others_stay_at_the_base() -> None:
    data = numbered(GRID)
    figure = FactorGrid().draw(data)
    base = [1, 2, 1]
    rows = shown(figure, 3)
    for column, size in enumerate(GRID):
        factors = np.tile(base, (size, 1))
        factors[:, column] = np.arange(size)
        assert rows[column] == [*data.index(factors), *[255] * (5 - size)]
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (3)", "b (5)", "c (2)"]
    assert [text.get_text() for text in axes.texts] == [*"012", *"01234", *"01"]
    assert len(axes.patches) == 3  # The base, framed in each row.


def test_the_base_may_be_chosen_and_is_among_the_values_of_every_row() -> None:
    data = numbered((20, 4))
    figure = FactorGrid(base=21, columns=4).draw(data)  # Factors 5 and 1.
    [first, second] = shown(figure, 2)
    assert first == [1, 21, 53, 77] and second == [20, 21, 22, 23]


@pytest.mark.parametrize(
    ("size", "most", "base", "values"),
    [
        (3, 12, 1, [0, 1, 2]),
        (12, 12, 5, list(range(12))),
        (40, 4, 20, [0, 13, 20, 39]),
        (40, 4, 0, [0, 13, 26, 39]),
        (40, 4, 38, [0, 13, 38, 39]),
        (40, 2, 20, [0, 20]),
    ],
)
def test_values_are_evenly_chosen_around_the_base(
    size: int, most: int, base: int, values: list[int]
) -> None:
    assert list(through(size, most, base)) == values


def test_one_factor_without_a_grid_is_shown_class_by_class() -> None:
    labels = np.repeat([0, 1, 2], [7, 2, 6])[:, None]
    figure = FactorGrid(columns=4).draw(numbered((3,), labels, images=15))
    zero, one, two = shown(figure, 3)
    assert set(zero) <= set(range(7)) and len(set(zero)) == 4 and zero == sorted(zero)
    assert one == [7, 8, 255, 255]
    assert set(two) <= set(range(9, 15))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a 0", "a 1", "a 2"]


def test_classes_have_their_names_and_images_of_unknown_class_no_row() -> None:
    given = numbered((2,), np.array([[1], [-1], [0], [1]]), images=4)
    named = replace(given, factor_values={"a": ("cat", "dog")})
    figure = FactorGrid(columns=2).draw(named)
    assert shown(figure, rows=2) == [[2, 255], [0, 3]]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a cat", "a dog"]


@pytest.mark.parametrize("values", [[0.5, 1.5, 2.5, np.nan], [np.nan] * 4])
def test_a_continuous_factor_has_no_classes(values: list[float]) -> None:
    given = numbered((3,), np.array(values)[:, None], images=4)
    figure = FactorGrid().draw(replace(given, factor_kinds=("continuous",)))
    assert shown(figure, rows=1) == [[0, 1, 2, 3]]


def test_data_without_factors_show_examples_from_all_over() -> None:
    figure = FactorGrid(columns=5).draw(numbered((), None, images=60))
    rows = shown(figure, 6)
    assert [index for row in rows for index in row] == list(range(1, 60, 2))
    few = FactorGrid(columns=5).draw(numbered((), None, images=3))
    assert shown(few, 1) == [[0, 1, 2]]


def test_a_base_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="base: expected an image, 0 to 29, got 30"):
        FactorGrid(base=30).draw(numbered(GRID))
    with pytest.raises(InvalidSpec, match="base: expected null, as numbered is no full grid"):
        FactorGrid(base=0).draw(numbered((), None, images=9))


AWKWARD = {
    "a grid in colour": numbered(GRID, channels=3),
    "one image": numbered((), None, images=1),
    "several factors, no grid, colour": numbered(
        (2, 2), np.zeros((9, 2), dtype=np.int64), images=9, channels=3
    ),
    "a single class": numbered((2,), np.zeros((9, 1), dtype=np.int64), images=9),
    "many classes": numbered((90,), np.arange(90)[::-1, None].copy(), images=90),
    "a factor of one value": numbered((1, 4)),
}
DATASET_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, DatasetPlot)]


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", DATASET_PLOTS)
def test_every_plot_of_a_data_set_draws_on_the_awkward(name: str, case: str) -> None:
    plot = components("plot")[name].model_validate({"name": name})
    assert isinstance(plot, DatasetPlot)
    first, again = (to_file(plot.draw(AWKWARD[case]), "png") for _ in range(2))
    assert first[:4] == b"\x89PNG" and first == again
    assert b"<svg" in to_file(plot.draw(AWKWARD[case]), "svg")
