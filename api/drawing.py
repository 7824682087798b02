"""Pictures that are drawn when somebody asks for them, and how they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from fastapi import Request, Response

from api.context import Context
from api.files import matches
from api.studies import study_digest, study_of
from ml.animation import Film
from ml.dataset import DatasetComponent
from ml.identity import canonical_json
from ml.plot import DatasetPlot, Material, Plot, RunPlot, StudyPlot, to_file
from ml.registry import find
from ml.spec_errors import Fault, InvalidSpec, parsed
from store import queries

Format = Literal["png", "svg", "gif"]

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "gif": "image/gif",
}
NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'"
"""An SVG is a page: it may bring its own styles, and nothing else."""


def draw_run(here: Context, id: str, plot: RunPlot, format: Format) -> bytes:
    """A picture of a trained run.

    Raises:
        NotFound: there is no such run.
        NotTrained: it has no model yet.
        NothingToDraw, InvalidSpec: as the plot has it.
        TooBusy: others are drawing.
        MissingFile, UnusableFile: its data set's file is not what it was.
    """

    def draw() -> bytes:
        found = here.trained.of(id)
        material = here.trained.with_all(found) if plot.needs else found.material
        return _run_file(plot, material, format)

    source = here.trained.digest_of(id)
    if plot.needs:
        source += repr([(one.id, one.state) for one in queries.evaluations(here.database, id)])
        source += repr([(one.name, one.sha256) for one in queries.artifacts(here.database, id)])
    return _kept(here, source, plot, format, draw)


def draw_study(here: Context, id: str, plot: StudyPlot, format: Literal["png", "svg"]) -> bytes:
    """A picture of an experiment's runs, as they are by now.

    Raises:
        NotFound: there is no such experiment.
        NothingToDraw, InvalidSpec: as the plot has it.
        TooBusy: others are drawing.
    """
    source = study_digest(here, id)
    return _kept(here, source, plot, format, lambda: to_file(plot.draw(study_of(here, id)), format))


def draw_dataset(
    here: Context, name: str, plot: DatasetPlot, format: Literal["png", "svg"]
) -> bytes:
    """A picture of a data set with its default params.

    Raises:
        UnknownComponent: there is no data set of this name.
        InvalidSpec: it has no default params, or as the plot has it.
        TooBusy: others are drawing.
        MissingFile, UnusableFile: its file is not there, or is not what it should be.
    """
    component = find("dataset", name)
    assert issubclass(component, DatasetComponent)
    try:
        chosen = parsed(component, {"name": name})
    except InvalidSpec as error:
        missing = ", ".join(fault.path for fault in error.faults)
        expected = f"a data set that needs no params, but {name} needs {missing}"
        raise InvalidSpec([Fault("name", name, expected)]) from None
    source = canonical_json(chosen.identity())
    return _kept(here, source, plot, format, lambda: to_file(plot.draw(chosen.open()), format))


def answer(request: Request, content: bytes, format: Format, name: str) -> Response:
    """A picture for a browser to show; its strong ETag is the SHA-256 of its content."""
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {
        "ETag": etag,
        # What it is drawn from may change.
        "Cache-Control": "no-cache",
        "Content-Disposition": f'inline; filename="{name}.{format}"',
        "X-Content-Type-Options": "nosniff",
    }
    if format == "svg":
        headers["Content-Security-Policy"] = NOTHING_FROM_OUTSIDE
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPES[format], headers=headers)


def _run_file(plot: RunPlot, material: Material, format: Format) -> bytes:
    if format == "gif":
        assert isinstance(plot, Film)
        return plot.film(material)
    return to_file(plot.draw(material), format)


def _kept(
    here: Context, source: str, plot: Plot, format: Format, draw: Callable[[], bytes]
) -> bytes:
    """The picture from memory, or drawn in a turn."""
    params = canonical_json(plot.identity())
    key = f"{source} {params} {format}"
    content = here.pictures.get(key)
    if content is not None:
        return content
    with here.trained.turn():
        # Somebody may have drawn it meanwhile.
        content = here.pictures.get(key)
        if content is None:
            content = draw()
            here.pictures.keep(key, content)
        return content
