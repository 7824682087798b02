"""Which plot a path asks for, and what its query chooses of it."""

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
"""Where plots are drawn, by what they are of."""


class PlotOfAnother(LookupError):
    """A plot was asked of what it is not a picture of."""

    def __init__(self, plot: type[Plot], of: str) -> None:
        name = plot.component_name()
        super().__init__(
            f"The plot {name} is of a {plot.of} and not of a {of}: it is at"
            f" {PLACES[plot.of]}/plots/{name}.png"
        )


def run_plot(name: str, query: Mapping[str, str]) -> RunPlot:
    """The plot of a run of this name, with the params that a query gives.

    Values are read as pydantic reads text, lists with commas between their items.

    Raises:
        UnknownComponent: there is no plot of this name.
        PlotOfAnother: it is of something else.
        InvalidSpec: a param is unknown or out of range.
    """
    chosen = _asked("run", name, query)
    assert isinstance(chosen, RunPlot)
    return chosen


def study_plot(name: str, query: Mapping[str, str]) -> StudyPlot:
    """As `run_plot`, of a study."""
    chosen = _asked("study", name, query)
    assert isinstance(chosen, StudyPlot)
    return chosen


def dataset_plot(name: str, query: Mapping[str, str]) -> DatasetPlot:
    """As `run_plot`, of a data set."""
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
    """Whether a list is taken, also as one of several types or within bounds."""
    origin = get_origin(annotation)
    if origin in (list, tuple):
        return True
    within = get_args(annotation)
    return any(map(_is_list, within[:1] if origin is Annotated else within))
