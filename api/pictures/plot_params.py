"""The plot that a path names, with the params of the query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from ml.components.registry import find
from ml.components.spec_errors import parsed
from ml.plots.protocol import DatasetPlot, Plot, RunPlot, StudyPlot

PLACES = {
    "run": "/v1/runs/{id}",
    "study": "/v1/experiments/{id}",
    "dataset": "/v1/datasets/{name}",
}
"""The paths below which plots are served, by what they show."""


class PlotOfAnother(LookupError):
    """A plot was asked for below a path of something else than it shows."""

    def __init__(self, plot: type[Plot], of: str) -> None:
        name = plot.component_name()
        super().__init__(
            f"The plot {name} is of a {plot.of} and not of a {of}: it is at"
            f" {PLACES[plot.of]}/plots/{name}.png"
        )


def run_plot(name: str, query: Mapping[str, str]) -> RunPlot:
    """The plot of a run by its name, with the params of a query.

    Values are read as pydantic reads text. A list has commas between its items.

    Raises:
        UnknownComponent: there is no plot of this name.
        PlotOfAnother: the plot shows something else than a run.
        InvalidSpec: a param is unknown or out of range.
    """
    chosen = _asked("run", name, query)
    assert isinstance(chosen, RunPlot)
    return chosen


def study_plot(name: str, query: Mapping[str, str]) -> StudyPlot:
    """As `run_plot`, but for a plot of a study."""
    chosen = _asked("study", name, query)
    assert isinstance(chosen, StudyPlot)
    return chosen


def dataset_plot(name: str, query: Mapping[str, str]) -> DatasetPlot:
    """As `run_plot`, but for a plot of a data set."""
    chosen = _asked("dataset", name, query)
    assert isinstance(chosen, DatasetPlot)
    return chosen


def _asked(of: str, name: str, query: Mapping[str, str]) -> Plot:
    component = find("plot", name)
    assert issubclass(component, Plot)
    if component.of != of:
        raise PlotOfAnother(component, of)
    given = {param: _read(component, param, text) for param, text in query.items()}
    return parsed(component, {"name": name, **given})


def _read(component: type[Plot], param: str, text: str) -> Any:
    field = component.model_fields.get(param)
    if field is None or not _is_list(field.annotation):
        return text
    return [item.strip() for item in text.split(",")]


def _is_list(annotation: Any) -> bool:
    """Whether an annotation accepts a list, also as one of several types or within `Annotated`."""
    origin = get_origin(annotation)
    if origin in (list, tuple):
        return True
    within = get_args(annotation)
    return any(map(_is_list, within[:1] if origin is Annotated else within))
