"""Pictures of runs, of experiments and of data sets."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.answers.files import file_route
from api.http.query import WholeQuery
from api.pictures.answers import dataset_picture, run_picture, study_picture
from api.pictures.drawing import MEDIA_TYPES
from api.state.context import Here

runs = APIRouter(prefix="/v1/runs", tags=["runs"])
experiments = APIRouter(prefix="/v1/experiments", tags=["experiments"])
datasets = APIRouter(prefix="/v1/datasets", tags=["datasets"])

TRAVERSAL, TRAINING, SAMPLES = "traversal", "training_film", "factor_grid"


@file_route(runs, "/{id}/traversal.png", "traversal", MEDIA_TYPES["png"], ranges=True)
async def traversal(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """Images decoded while one latent moves and the others stay, one row for each latent.

    The params are those of the plot `traversal` in the catalogue.
    """
    return await run_picture(here, request, id, TRAVERSAL, query, "png")


@file_route(runs, "/{id}/traversal.gif", "traversal_film", MEDIA_TYPES["gif"])
async def traversal_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """The traversal as a film with one tile for each latent. All tiles go there and back in step.

    The params are those of the plot `traversal` in the catalogue.
    """
    return await run_picture(here, request, id, TRAVERSAL, query, "gif")


@file_route(runs, "/{id}/training.gif", "training_film", MEDIA_TYPES["gif"])
async def training_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A film over the run's snapshots: the same images as the model made them, step by step.

    The params are those of the plot `training_film` in the catalogue. The answer is 409 for a run
    without snapshots. `training.snapshots` of the spec asks for them.
    """
    return await run_picture(here, request, id, TRAINING, query, "gif", called="training")


@file_route(runs, "/{id}/plots/{plot}.png", "plot", MEDIA_TYPES["png"], ranges=True)
async def run_png(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the run. The catalogue lists the plots.

    Params are query parameters. A list has commas between its items. The first
    `codes_map?method=umap` of a process takes about half a minute.
    """
    return await run_picture(here, request, id, plot, query, "png")


@file_route(runs, "/{id}/plots/{plot}.svg", "plot_svg", MEDIA_TYPES["svg"])
async def run_svg(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """The same picture of the run as SVG, for print."""
    return await run_picture(here, request, id, plot, query, "svg")


@file_route(experiments, "/{id}/plots/{plot}.png", "study_plot", MEDIA_TYPES["png"])
async def study_png(
    id: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of the experiment's runs. The catalogue lists the plots that are `of` a study.

    Params are query parameters, as in `?x=objective.beta&log_x=true`. While the experiment goes on,
    the picture shows the results so far.
    """
    return await study_picture(here, request, id, plot, query, "png")


@file_route(experiments, "/{id}/plots/{plot}.svg", "study_plot_svg", MEDIA_TYPES["svg"])
async def study_svg(
    id: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """The same picture of the experiment's runs as SVG, for print."""
    return await study_picture(here, request, id, plot, query, "svg")


@file_route(datasets, "/{name}/samples.png", "samples", MEDIA_TYPES["png"])
async def samples(name: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """The effect of each factor on an image. A data set without factors shows examples.

    The params are those of the plot `factor_grid` in the catalogue.
    """
    return await dataset_picture(here, request, name, SAMPLES, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.png", "dataset_plot", MEDIA_TYPES["png"])
async def dataset_png(
    name: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """A picture of a data set with its default params. The catalogue lists the plots."""
    return await dataset_picture(here, request, name, plot, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.svg", "dataset_plot_svg", MEDIA_TYPES["svg"])
async def dataset_svg(
    name: str, plot: str, here: Here, request: Request, query: WholeQuery
) -> Response:
    """The same picture of a data set as SVG, for print."""
    return await dataset_picture(here, request, name, plot, query, "svg")


router = APIRouter()
for resource in (runs, experiments, datasets):
    router.include_router(resource)
