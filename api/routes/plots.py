"""Pictures of runs, of experiments and of data sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from api.answers.files import file_route, serve_file
from api.http.query import WholeQuery
from api.pictures.drawing import (
    MEDIA_TYPES,
    Drawing,
    Format,
    answer,
    drawn,
    of_dataset,
    of_run,
    of_study,
)
from api.pictures.plot_params import dataset_plot, run_plot, study_plot
from api.state.context import Context, Here
from store import queries
from store.errors import NotFound
from store.files.artifact_names import picture

runs = APIRouter(prefix="/v1/runs", tags=["runs"])
experiments = APIRouter(prefix="/v1/experiments", tags=["experiments"])
datasets = APIRouter(prefix="/v1/datasets", tags=["datasets"])

Print = Literal["png", "svg"]

TRAVERSAL, TRAINING, SAMPLES = "traversal", "training_film", "factor_grid"


@file_route(runs, "/{id}/traversal.png", "traversal", MEDIA_TYPES["png"], ranges=True)
async def traversal(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """Images decoded while one latent moves and the others stay, a row a latent.

    Its params are those of the plot `traversal` in the catalogue.
    """
    return await _of_run(here, request, id, TRAVERSAL, query, "png")


@file_route(runs, "/{id}/traversal.gif", "traversal_film", MEDIA_TYPES["gif"])
async def traversal_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """The traversal moving: a tile a latent, all going there and back in step.

    Its params are those of the plot `traversal` in the catalogue.
    """
    return await _of_run(here, request, id, TRAVERSAL, query, "gif")


@file_route(runs, "/{id}/training.gif", "training_film", MEDIA_TYPES["gif"])
async def training_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A film over the run's snapshots: the same images as the model made them, step by step.

    Its params are those of the plot `training_film` in the catalogue. 409 without snapshots, which
    `training.snapshots` of the spec asks for.
    """
    return await _of_run(here, request, id, TRAINING, query, "gif", called="training")


@file_route(runs, "/{id}/plots/{plot}.png", "plot", MEDIA_TYPES["png"], ranges=True)
async def run_png(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the run; the catalogue lists the plots, and params are query parameters.

    Lists have commas between their items. The first `codes_map?method=umap` of a process takes
    about half a minute.
    """
    return await _of_run(here, request, id, plot, query, "png")


@file_route(runs, "/{id}/plots/{plot}.svg", "plot_svg", MEDIA_TYPES["svg"])
async def run_svg(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the run for print, as that in PNG."""
    return await _of_run(here, request, id, plot, query, "svg")


@file_route(experiments, "/{id}/plots/{plot}.png", "study_plot", MEDIA_TYPES["png"])
async def study_png(
    id: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of the experiment's runs; the catalogue lists the plots that are of a study.

    Params are query parameters, as in `?x=objective.beta&log_x=true`. While the experiment goes on
    it shows what is there by now.
    """
    return await _of_study(here, request, id, plot, query, "png")


@file_route(experiments, "/{id}/plots/{plot}.svg", "study_plot_svg", MEDIA_TYPES["svg"])
async def study_svg(
    id: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of the experiment's runs for print, as that in PNG."""
    return await _of_study(here, request, id, plot, query, "svg")


@file_route(datasets, "/{name}/samples.png", "samples", MEDIA_TYPES["png"])
async def samples(name: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """What each factor of a data set does to an image, or examples where it has no factors.

    Its params are those of the plot `factor_grid` in the catalogue.
    """
    return await _of_dataset(here, request, name, SAMPLES, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.png", "dataset_plot", MEDIA_TYPES["png"])
async def dataset_png(
    name: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of a data set with its default params; the catalogue lists the plots."""
    return await _of_dataset(here, request, name, plot, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.svg", "dataset_plot_svg", MEDIA_TYPES["svg"])
async def dataset_svg(
    name: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of a data set for print, as that in PNG."""
    return await _of_dataset(here, request, name, plot, query, "svg")


async def _of_run(
    here: Context,
    request: Request,
    id: str,
    name: str,
    query: dict[str, Any],
    format: Format,
    *,
    called: str | None = None,
) -> Response:
    find = partial(_run, here, request, id, name, query, format)
    return await _answer(here, request, find, format, called or name)


async def _of_study(
    here: Context, request: Request, id: str, name: str, query: dict[str, Any], format: Print
) -> Response:
    def found() -> Drawing:
        return of_study(here, id, study_plot(name, query), format)

    return await _answer(here, request, found, format, name)


async def _of_dataset(
    here: Context, request: Request, of: str, name: str, query: dict[str, Any], format: Print
) -> Response:
    def found() -> Drawing:
        return of_dataset(of, dataset_plot(name, query), format)

    return await _answer(here, request, found, format, f"{of}-{name}")


async def _answer(
    here: Context,
    request: Request,
    find: Callable[[], Drawing | Response],
    format: Format,
    name: str,
) -> Response:
    """What was looked up in a thread that all share, which is then free for others."""
    found = await to_thread.run_sync(find)
    if isinstance(found, Response):
        return found
    return answer(request, await drawn(here, found), format, name)


def _run(
    here: Context, request: Request, id: str, name: str, query: dict[str, Any], format: Format
) -> Drawing | Response:
    plot = run_plot(name, query)
    run = queries.run(here.database, id)
    # What the worker drew knows no names that people gave since.
    if plot.early and format == "png" and not query and not run.latent_names:
        try:
            found = queries.artifact(here.database, id, picture(name))
        except NotFound:
            pass
        else:
            # The newest of a name may change; what has a digest may not.
            return serve_file(request, here, found, immutable=False)
    return of_run(here, id, plot, format)


router = APIRouter()
for resource in (runs, experiments, datasets):
    router.include_router(resource)
