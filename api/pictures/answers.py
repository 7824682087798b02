"""Answers with pictures. A picture is looked up, or else drawn, and sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from anyio import to_thread
from fastapi import Request, Response

from api.answers.files import serve_file
from api.http.etags import answer_unless_known
from api.pictures.drawing import (
    MEDIA_TYPES,
    Drawing,
    Format,
    Print,
    of_dataset,
    of_run,
    of_study,
)
from api.pictures.plot_params import dataset_plot, run_plot, study_plot
from api.state.context import Context
from store import queries
from store.errors import NotFound
from store.files.artifact_names import picture

NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser opens an SVG as a page. It may have its own styles, and may load nothing."""


async def run_picture(
    here: Context,
    request: Request,
    id: str,
    plot: str,
    query: Mapping[str, str],
    format: Format,
    *,
    called: str | None = None,
) -> Response:
    """A picture of a run. Its file is `called` like the plot by default.

    Raises:
        TooBusy: too many requests wait to draw. Also the errors of `run_plot` and `of_run`.
    """
    find = partial(_of_run, here, request, id, plot, query, format)
    return await _answer(here, request, find, format, called or plot)


async def study_picture(
    here: Context, request: Request, id: str, plot: str, query: Mapping[str, str], format: Print
) -> Response:
    """A picture of an experiment's runs.

    Raises:
        TooBusy: too many requests wait to draw. Also the errors of `study_plot` and `of_study`.
    """

    def find() -> Drawing:
        return of_study(here, id, study_plot(plot, query), format)

    return await _answer(here, request, find, format, plot)


async def dataset_picture(
    here: Context, request: Request, of: str, plot: str, query: Mapping[str, str], format: Print
) -> Response:
    """A picture of a data set.

    Raises:
        TooBusy: too many requests wait to draw. Also the errors of `dataset_plot` and `of_dataset`.
    """

    def find() -> Drawing:
        return of_dataset(here, of, dataset_plot(plot, query), format)

    return await _answer(here, request, find, format, f"{of}-{plot}")


def _of_run(
    here: Context, request: Request, id: str, name: str, query: Mapping[str, str], format: Format
) -> Drawing | Response:
    plot = run_plot(name, query)
    run = queries.run(here.database, id)
    # The worker's picture lacks names that people gave to the latents later.
    if plot.early and format == "png" and not query and not run.latent_names:
        try:
            found = queries.artifact(here.database, id, picture(name))
        except NotFound:
            pass
        else:
            # The newest file of a name may change. The file of a digest may not.
            return serve_file(request, here, found, immutable=False)
    return of_run(here, id, plot, format)


async def _answer(
    here: Context,
    request: Request,
    find: Callable[[], Drawing | Response],
    format: Format,
    name: str,
) -> Response:
    """The answer with the picture that `find` looks up in one of the shared threads."""
    found = await to_thread.run_sync(find)
    if isinstance(found, Response):
        return found
    headers = {"Content-Disposition": f'inline; filename="{name}.{format}"'}
    if format == "svg":
        headers["Content-Security-Policy"] = NOTHING_FROM_OUTSIDE
    return answer_unless_known(request, await _drawn(here, found), MEDIA_TYPES[format], headers)


async def _drawn(here: Context, drawing: Drawing) -> bytes:
    """The picture from the cache, or else drawn in the drawing lane."""
    content = here.pictures.get(drawing.key)
    if content is not None:
        return content
    async with here.lanes.drawing.place():
        # Another request may have drawn it meanwhile.
        content = here.pictures.get(drawing.key)
        if content is None:
            content = await to_thread.run_sync(drawing.draw)
            here.pictures.keep(drawing.key, content)
        return content
