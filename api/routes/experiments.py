"""Experiments: post a spec, follow its runs, stop them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Request, Response

from api.answers.long_poll import until_experiment_ended
from api.answers.work import listed_experiments, whole_experiment
from api.documents.base import Page
from api.documents.experiments import Experiment
from api.http.answer import json_answer
from api.http.body import JsonBody
from api.http.filters import Asked, asked
from api.http.query import link_next
from api.openapi import (
    ANSWERS_AN_EXPERIMENT,
    CLONE_BODY,
    EXPERIMENT_BODY,
    EXTEND_BODY,
    FORK_BODY,
    UNREADABLE,
)
from api.state.context import Here
from api.submission.continuing import experiment_work
from api.submission.planning import plan
from api.submission.posting import Joining, MaybeForced
from ml.experiments.experiment import Label
from store import queries
from store.experiments import cancel
from store.experiments.label import label_experiment
from store.retention.delete import delete_experiment, pin_experiment

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])


@router.post(
    "",
    operation_id="create_experiment",
    openapi_extra={"requestBody": EXPERIMENT_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def create(spec: JsonBody, posting: MaybeForced) -> Response:
    """Post a spec. Its runs are recorded, and start when a worker is free.

    A run that exists already is not trained twice. The experiment shares it, and marks it `reused`.
    A new run goes on from the end of a shorter run that is the same in everything else, if the
    shorter one has kept its state.

    With an `Idempotency-Key` the request is safe to repeat. A second request with the same key,
    body and parameters gets the experiment that the first one made, even while the first is under
    way.

    With `dry_run` nothing is written, and the answer (200) shows what the request would do. A dry
    run of a new request is refused exactly when the request itself would be.

    The answer is 429 if the owner would have more runs waiting than the operator allows.
    """
    return posting.answer(spec, lambda: plan(posting.here.database, spec))


@router.get("", operation_id="list_experiments")
def index(
    here: Here,
    request: Request,
    response: Response,
    asked: Annotated[Asked[queries.ExperimentFilters], asked(queries.ExperimentFilters)],
) -> Page[Experiment]:
    """List the experiments that meet every given condition, newest first."""
    page = queries.experiments(here.database, asked.filters, limit=asked.limit, cursor=asked.cursor)
    link_next(request, response, page.next_cursor)
    return Page(items=listed_experiments(here, page.items), next_cursor=page.next_cursor)


@router.get(
    "/{id}",
    operation_id="get_experiment",
    response_model=Experiment,
    dependencies=[until_experiment_ended],
)
def show(id: str, here: Here) -> Response:
    """Show an experiment with the state of each of its runs."""
    return json_answer(whole_experiment(here, id))


@router.post("/{id}/cancel", operation_id="cancel_experiment", status_code=HTTPStatus.ACCEPTED)
def stop(id: str, here: Here) -> Experiment:
    """Stop the experiment's unfinished runs, except those that another experiment wants too.

    A run in training stops at a checkpoint within seconds. It can be resumed from there.
    """
    cancel.cancel_experiment(here.database, id)
    return whole_experiment(here, id)


@router.post("/{id}/resume", operation_id="resume_experiment", status_code=HTTPStatus.ACCEPTED)
def resume(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Queue failed and cancelled runs again. They go on from their newest checkpoints."""
    cancel.resume_experiment(here.database, id)
    afterwards.add_task(here.hints.send)
    return whole_experiment(here, id)


@router.post("/{id}/retry", operation_id="retry_experiment", status_code=HTTPStatus.ACCEPTED)
def retry(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Queue failed runs again. Cancelled runs stay cancelled."""
    cancel.resume_experiment(here.database, id, failed_only=True)
    afterwards.add_task(here.hints.send)
    return whole_experiment(here, id)


@router.post(
    "/{id}/clone",
    operation_id="clone_experiment",
    openapi_extra={"requestBody": CLONE_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def clone(id: str, body: JsonBody, here: Here, posting: MaybeForced) -> Response:
    """Post this experiment's spec again with changes, given as dotted path to value.

    The request does the same as a POST of the whole changed spec.
    """
    return posting.answer(
        {"clone": id, "body": body},
        lambda: experiment_work(here.database, id).cloned(here.database, body),
    )


@router.post(
    "/{id}/extend",
    operation_id="extend_experiment",
    openapi_extra={"requestBody": EXTEND_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def extend(id: str, body: JsonBody, here: Here, posting: Joining) -> Response:
    """Train all runs further, in a new experiment whose runs go on from the ends of these.

    The new runs end with the same bits as runs that had all these steps from the beginning. The
    answer is 409 while a run is not trained, or if one has not kept its state.
    """
    return posting.answer(
        {"extend": id, "body": body},
        lambda: experiment_work(here.database, id).extended(here.database, body),
    )


@router.post(
    "/{id}/fork",
    operation_id="fork_experiment",
    openapi_extra={"requestBody": FORK_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def fork(id: str, body: JsonBody, here: Here, posting: Joining) -> Response:
    """Go on from the ends of its runs with changes to the spec, in a new experiment.

    The answer is 409 while a run is not trained, or if one has not kept its state.
    """
    return posting.answer(
        {"fork": id, "body": body},
        lambda: experiment_work(here.database, id).forked(here.database, body),
    )


@router.patch("/{id}", operation_id="update_experiment", responses=UNREADABLE)
def update(id: str, body: JsonBody, here: Here) -> Experiment:
    """Change the name, tags or notes, whichever the body gives. This never starts a run."""
    label = Label.parse(body)
    label_experiment(here.database, id, **label.model_dump(include=label.model_fields_set))
    return whole_experiment(here, id)


@router.post("/{id}/pin", operation_id="pin_experiment")
def pin(id: str, here: Here) -> Experiment:
    """Protect the experiment from deletion until it is unpinned."""
    pin_experiment(here.database, id, pinned=True)
    return whole_experiment(here, id)


@router.post("/{id}/unpin", operation_id="unpin_experiment")
def unpin(id: str, here: Here) -> Experiment:
    """Allow the experiment to be deleted again."""
    pin_experiment(here.database, id, pinned=False)
    return whole_experiment(here, id)


@router.delete("/{id}", operation_id="delete_experiment", status_code=HTTPStatus.NO_CONTENT)
def delete(id: str, here: Here) -> None:
    """Delete an experiment that has ended, and the runs that nothing else holds.

    A run is kept while another experiment, a pin, or an evaluation that was asked for by itself
    holds it. Files that nothing refers to any more are removed within some minutes. The answer is
    409 while the experiment goes on (cancel it first), and while it is pinned.
    """
    delete_experiment(here.database, id)
