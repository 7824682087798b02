"""Pictures of runs, of experiments and of data sets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.context import Context, Here
from api.drawing import answer, draw_dataset, draw_run, draw_study
from api.files import file_route, serve_file
from api.plot_params import dataset_plot, run_plot, study_plot
from api.queries import WholeQuery
from ml.plot import Format
from store import queries
from store.errors import NotFound

runs = APIRouter(prefix="/v1/runs", tags=["runs"])
experiments = APIRouter(prefix="/v1/experiments", tags=["experiments"])
datasets = APIRouter(prefix="/v1/datasets", tags=["datasets"])

TRAVERSAL, TRAINING, SAMPLES = "traversal", "training_film", "factor_grid"


@file_route(runs, "/{id}/traversal.png", "traversal")
def traversal(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """Images decoded while one latent moves and the others stay, a row a latent.

    Its params are those of the plot `traversal` in the catalogue.
    """
    return _of_run(here, request, id, TRAVERSAL, query, "png")


@file_route(runs, "/{id}/traversal.gif", "traversal_film")
def traversal_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """The traversal moving: a tile a latent, all going there and back in step.

    Its params are those of the plot `traversal` in the catalogue.
    """
    plot = run_plot(TRAVERSAL, query)
    return answer(request, draw_run(here, id, plot, "gif"), "gif", TRAVERSAL)


@file_route(runs, "/{id}/training.gif", "training_film")
def training_film(id: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A film over the run's snapshots: the same images as the model made them, step by step.

    Its params are those of the plot `training_film` in the catalogue. 409 without snapshots, which
    `training.snapshots` of the spec asks for.
    """
    plot = run_plot(TRAINING, query)
    return answer(request, draw_run(here, id, plot, "gif"), "gif", "training")


@file_route(runs, "/{id}/plots/{plot}.png", "plot")
def run_png(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the run; the catalogue lists the plots, and params are query parameters.

    Lists have commas between their items. The first `codes_map?method=umap` of a process takes
    about half a minute.
    """
    return _of_run(here, request, id, plot, query, "png")


@file_route(runs, "/{id}/plots/{plot}.svg", "plot_svg")
def run_svg(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the run for print, as that in PNG."""
    return _of_run(here, request, id, plot, query, "svg")


@file_route(experiments, "/{id}/plots/{plot}.png", "study_plot")
def study_png(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the experiment's runs; the catalogue lists the plots that are of a study.

    Params are query parameters, as in `?x=objective.beta&log_x=true`. While the experiment goes on
    it shows what is there by now.
    """
    return _of_study(here, request, id, plot, query, "png")


@file_route(experiments, "/{id}/plots/{plot}.svg", "study_plot_svg")
def study_svg(id: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of the experiment's runs for print, as that in PNG."""
    return _of_study(here, request, id, plot, query, "svg")


@file_route(datasets, "/{name}/samples.png", "samples")
def samples(name: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """What each factor of a data set does to an image, or examples where it has no factors.

    Its params are those of the plot `factor_grid` in the catalogue.
    """
    return _of_dataset(here, request, name, SAMPLES, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.png", "dataset_plot")
def dataset_png(name: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of a data set with its default params; the catalogue lists the plots."""
    return _of_dataset(here, request, name, plot, query, "png")


@file_route(datasets, "/{name}/plots/{plot}.svg", "dataset_plot_svg")
def dataset_svg(name: str, plot: str, here: Here, request: Request, query: WholeQuery) -> Response:
    """A picture of a data set for print, as that in PNG."""
    return _of_dataset(here, request, name, plot, query, "svg")


def _of_run(
    here: Context, request: Request, id: str, name: str, query: dict[str, Any], format: Format
) -> Response:
    plot = run_plot(name, query)
    run = queries.run(here.database, id)
    # What the worker drew knows no names that people gave since.
    if plot.early and format == "png" and not query and not run.latent_names:
        try:
            found = queries.artifact(here.database, id, f"{name}.png")
        except NotFound:
            pass
        else:
            # The newest of a name may change; what has a digest may not.
            return serve_file(request, here, found, immutable=False)
    return answer(request, draw_run(here, id, plot, format), format, name)


def _of_study(
    here: Context, request: Request, id: str, name: str, query: dict[str, Any], format: Format
) -> Response:
    plot = study_plot(name, query)
    return answer(request, draw_study(here, id, plot, format), format, name)


def _of_dataset(
    here: Context, request: Request, of: str, name: str, query: dict[str, Any], format: Format
) -> Response:
    plot = dataset_plot(name, query)
    return answer(request, draw_dataset(here, of, plot, format), format, f"{of}-{name}")


router = APIRouter()
for resource in (runs, experiments, datasets):
    router.include_router(resource)
