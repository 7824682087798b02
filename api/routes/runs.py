"""Runs: their state, scores, curves and files."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from api.answers.advice import advised_run
from api.answers.files import NPZ, file_route, serve_file
from api.answers.logs import LOG_ANSWER, AskedLog, log_answer
from api.answers.long_poll import until_run_ended
from api.answers.work import listed_runs, whole_evaluation, whole_run
from api.documents.base import Page
from api.documents.evaluations import AdvisedScores, EvaluationDocument, evaluation_document
from api.documents.latent_names import asked_names
from api.documents.logs import LogLine
from api.documents.runs import Artifact, Run, artifact_document
from api.http.answer import json_answer
from api.http.body import JsonBody
from api.http.filters import Asked, asked
from api.http.query import link_next
from api.openapi import (
    ANSWERS_AN_EXPERIMENT,
    CLONE_BODY,
    EXTEND_BODY,
    FORK_BODY,
    RUN_CHANGE_BODY,
    RUN_EVALUATION_BODY,
    UNREADABLE,
)
from api.state.context import Here
from api.submission.continuing import run_work
from api.submission.headers import Owner
from api.submission.planning import plan_evaluation
from api.submission.posting import Joining, MaybeForced
from store import queries
from store.experiments import cancel
from store.experiments.evaluations import evaluate_run
from store.experiments.label import name_latents
from store.files.artifact_names import CODES
from store.files.curves import Curves, curves
from store.jobs.log import log_of_run
from store.retention.delete import pin_run

router = APIRouter(prefix="/v1/runs", tags=["runs"])

MOST_POINTS = 100_000


@router.get("", operation_id="list_runs")
def index(
    here: Here,
    request: Request,
    response: Response,
    asked: Annotated[Asked[queries.RunFilters], asked(queries.RunFilters)],
) -> Page[Run]:
    """List the runs that meet every given condition, newest first."""
    page = queries.runs(here.database, asked.filters, limit=asked.limit, cursor=asked.cursor)
    link_next(request, response, page.next_cursor)
    return Page(items=listed_runs(here, page.items), next_cursor=page.next_cursor)


@router.get("/{id}", operation_id="get_run", response_model=Run, dependencies=[until_run_ended])
def show(id: str, here: Here) -> Response:
    """Show a run: state, progress, why it waits or failed, and what its numbers depend on."""
    return json_answer(whole_run(here, id))


@router.patch(
    "/{id}",
    operation_id="update_run",
    responses=UNREADABLE,
    openapi_extra={"requestBody": RUN_CHANGE_BODY},
)
def rename(id: str, body: JsonBody, here: Here) -> Run:
    """Name the run's latents. Pictures show the names.

    The body's names replace all earlier ones.
    """
    latents = int(queries.spec_of(here.database, id)["model"]["latent_dim"])
    name_latents(here.database, id, asked_names(body, latents))
    return whole_run(here, id)


@router.post("/{id}/cancel", operation_id="cancel_run", status_code=HTTPStatus.ACCEPTED)
def stop(id: str, here: Here) -> Run:
    """Stop a run for every experiment that holds it. It keeps its newest checkpoint."""
    cancel.cancel_run(here.database, id)
    return whole_run(here, id)


@router.post("/{id}/resume", operation_id="resume_run", status_code=HTTPStatus.ACCEPTED)
def resume(id: str, here: Here, afterwards: BackgroundTasks) -> Run:
    """Queue a failed or cancelled run again. It goes on from its newest checkpoint."""
    cancel.resume_run(here.database, id)
    afterwards.add_task(here.hints.send)
    return whole_run(here, id)


@router.post(
    "/{id}/clone",
    operation_id="clone_run",
    openapi_extra={"requestBody": CLONE_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def clone(id: str, body: JsonBody, here: Here, posting: MaybeForced) -> Response:
    """Post this run's spec as an experiment with changes, given as dotted path to value."""
    return posting.answer(
        {"clone": id, "body": body}, lambda: run_work(here.database, id).cloned(here.database, body)
    )


@router.post(
    "/{id}/extend",
    operation_id="extend_run",
    openapi_extra={"requestBody": EXTEND_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def extend(id: str, body: JsonBody, here: Here, posting: Joining) -> Response:
    """Train the run further, in a new experiment with a run that goes on from the end of this one.

    The new run ends with the same bits as a run that had all these steps from the beginning. The
    answer is 409 while this run is not trained, or if it has not kept its state.
    """
    return posting.answer(
        {"extend": id, "body": body},
        lambda: run_work(here.database, id).extended(here.database, body),
    )


@router.post(
    "/{id}/fork",
    operation_id="fork_run",
    openapi_extra={"requestBody": FORK_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def fork(id: str, body: JsonBody, here: Here, posting: Joining) -> Response:
    """Go on from the run's end with changes to its spec, in a new experiment.

    The answer is 409 while the run is not trained, or if it has not kept its state.
    """
    return posting.answer(
        {"fork": id, "body": body},
        lambda: run_work(here.database, id).forked(here.database, body),
    )


@router.post("/{id}/retry", operation_id="retry_run", status_code=HTTPStatus.ACCEPTED)
def retry(id: str, here: Here, afterwards: BackgroundTasks) -> Run:
    """Queue a failed run again. It goes on from its newest checkpoint.

    The answer is 409 for a cancelled run.
    """
    cancel.resume_run(here.database, id, failed_only=True)
    afterwards.add_task(here.hints.send)
    return whole_run(here, id)


@router.post("/{id}/pin", operation_id="pin_run")
def pin(id: str, here: Here) -> Run:
    """Keep a run when the experiments that hold it are deleted."""
    pin_run(here.database, id, pinned=True)
    return whole_run(here, id)


@router.post("/{id}/unpin", operation_id="unpin_run")
def unpin(id: str, here: Here) -> Run:
    """Keep the run no longer. A run that nothing holds is removed within some minutes."""
    pin_run(here.database, id, pinned=False)
    return whole_run(here, id)


@router.get("/{id}/scores", operation_id="get_scores")
def scores(id: str, here: Here) -> AdvisedScores:
    """List every score of the run, in the order in which they were asked for.

    `advice` explains odd numbers: collapsed latents, training that was not done, factors that an
    image does not fully show, scores inside their null.
    """
    return advised_run(here, id)


@router.post(
    "/{id}/evaluations",
    operation_id="create_run_evaluation",
    status_code=HTTPStatus.ACCEPTED,
    responses=UNREADABLE,
    openapi_extra={"requestBody": RUN_EVALUATION_BODY},
)
def evaluate(
    id: str,
    spec: JsonBody,
    here: Here,
    owner: Owner,
    response: Response,
    afterwards: BackgroundTasks,
) -> EvaluationDocument:
    """Score a trained run by more metrics or on other rows. All its earlier scores are kept.

    The same spec is not computed twice. The evaluation that exists is the answer then, with
    `reused: true`. The answer is 409 for a run that is not trained yet.
    """
    evaluation, key = plan_evaluation(spec, queries.spec_of(here.database, id))
    asked = evaluate_run(here.database, id, spec=evaluation, evaluation_key=key, owner=owner)
    afterwards.add_task(here.hints.send)
    response.headers["Location"] = f"/v1/evaluations/{asked.id}"
    return whole_evaluation(here, asked.id, reused=asked.reused)


@router.get("/{id}/evaluations", operation_id="list_run_evaluations")
def evaluations(id: str, here: Here) -> Page[EvaluationDocument]:
    """List every evaluation of the run, oldest first."""
    found = queries.evaluations(here.database, id)
    return Page(items=[evaluation_document(one) for one in found])


@router.get("/{id}/scalars", operation_id="get_scalars")
def scalars(
    id: str,
    here: Here,
    tags: Annotated[
        str | None, Query(description="Tags with commas between; all by default.")
    ] = None,
    max_points: Annotated[
        int, Query(ge=2, le=MOST_POINTS, description="Each curve is thinned to so many points.")
    ] = MOST_POINTS,
) -> Curves:
    """Show the training curves: tag to (step, value) pairs."""
    wanted = tags.split(",") if tags is not None else None
    found = curves(here.database, here.objects, id, wanted)
    return {tag: _thinned(points, max_points) for tag, points in found.items()}


@router.get(
    "/{id}/log",
    operation_id="get_log",
    response_model=Page[LogLine],
    responses=LOG_ANSWER,
)
def log(id: str, here: Here, request: Request, asked: AskedLog) -> Response:
    """Show the workers' log of the run and its evaluations, oldest lines first.

    Each line has a time, a level and a worker.
    """
    return log_answer(request, asked, partial(log_of_run, here.database, id))


@router.get("/{id}/artifacts", operation_id="list_artifacts")
def artifacts(id: str, here: Here) -> Page[Artifact]:
    """List the run's files, the newest of each name."""
    return Page(items=[artifact_document(one) for one in queries.artifacts(here.database, id)])


@file_route(router, "/{id}/codes.npz", "codes", NPZ, ranges=True)
def codes(id: str, here: Here, request: Request) -> Response:
    """The codes (`mean`) and factors of the rows of the first evaluation, as numpy arrays."""
    queries.run(here.database, id)
    found = queries.artifact(here.database, id, CODES)
    # The newest file of a name may change. The file of a digest may not.
    return serve_file(request, here, found, immutable=False)


def _thinned(points: list[Any], most: int) -> list[Any]:
    """Evenly chosen points, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(place * (len(points) - 1) / (most - 1))] for place in range(most)]
