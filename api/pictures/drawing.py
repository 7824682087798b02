"""Pictures that are drawn on request, and the keys of what they are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from api.state.context import Context
from api.state.uploaded import dataset_named
from api.studies.studies import study_of
from ml.plots.animation import Film
from ml.plots.protocol import DatasetPlot, Material, Plot, RunPlot, StudyPlot, to_file
from ml.reproducibility.canonical_json import canonical_json
from store import queries

Format = Literal["png", "svg", "gif"]
Print = Literal["png", "svg"]

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "gif": "image/gif",
}


@dataclass(frozen=True)
class Drawing:
    """A picture that can be drawn, or found in the cache by its key."""

    key: str
    """It changes with everything that the picture is drawn from."""
    draw: Callable[[], bytes]


def of_run(here: Context, id: str, plot: RunPlot, format: Format) -> Drawing:
    """A picture of a trained run. Its `draw` may raise the last four errors.

    Raises:
        NotFound: there is no such run.
        NotTrained: it has no model yet.
        NothingToDraw, InvalidSpec: by the plot.
        MissingFile, UnusableFile: the file of its data set is missing or has changed.
    """

    def draw() -> bytes:
        found = here.trained.of(id)
        material = here.trained.with_all(found) if plot.needs else found.material
        return _run_file(plot, material, format)

    source = here.trained.digest_of(id)
    if plot.needs:
        source += repr([(one.id, one.state) for one in queries.evaluations(here.database, id)])
        source += repr([(one.name, one.sha256) for one in queries.artifacts(here.database, id)])
    return _drawing(source, plot, format, draw)


def of_study(here: Context, id: str, plot: StudyPlot, format: Print) -> Drawing:
    """A picture of an experiment's results so far. Its `draw` may raise the last two errors.

    Raises:
        NotFound: there is no such experiment.
        NothingToDraw, InvalidSpec: by the plot.
    """
    source = queries.study_digest(here.database, id).digest
    return _drawing(source, plot, format, lambda: to_file(plot.draw(study_of(here, id)), format))


def of_dataset(here: Context, name: str, plot: DatasetPlot, format: Print) -> Drawing:
    """A picture of a data set with its default params. Its `draw` may raise the last three errors.

    Raises:
        UnknownComponent: there is no data set of this name.
        InvalidSpec: the data set has a param without a default, or by the plot.
        MissingFile, UnusableFile: the data set's file is missing or wrong.
    """
    chosen = dataset_named(here.database, name)
    source = f"{chosen.known_as} {canonical_json(chosen.identity())}"
    return _drawing(source, plot, format, lambda: to_file(plot.draw(chosen.open()), format))


def _run_file(plot: RunPlot, material: Material, format: Format) -> bytes:
    if format == "gif":
        assert isinstance(plot, Film)
        return plot.film(material)
    return to_file(plot.draw(material), format)


def _drawing(source: str, plot: Plot, format: Format, draw: Callable[[], bytes]) -> Drawing:
    return Drawing(f"{source} {canonical_json(plot.identity())} {format}", draw)
