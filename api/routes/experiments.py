"""Experiments: post a spec, follow its runs, stop them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Request, Response
from fastapi.responses import JSONResponse

from api.answers.long_poll import until_experiment_ended
from api.answers.work import listed_experiments, whole_experiment
from api.documents.base import Page
from api.documents.experiments import Experiment
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
def create(spec: JsonBody, posting: MaybeForced) -> Experiment | JSONResponse:
    """Post a spec; its runs are written down, and worked on when a worker is free.

    Work that exists already is not done twice: such a run says `reused`. A new run begins where a
    shorter one that is the same in all else has ended, if that has kept its state. With an
    `Idempotency-Key` the request itself is safe to repeat: sent again with the same key, body and
    parameters, it is answered with the experiment that it made the first time, also while the first
    is under way. With `dry_run` nothing is written, and the answer (200) is what would be done:
    a request that is new is refused exactly when the real one would be. An owner who would have
    more runs waiting than the operator allows is refused with 429.
    """
    return posting.answer(spec, lambda: plan(spec))


@router.get("", operation_id="list_experiments")
def index(
    here: Here,
    request: Request,
    response: Response,
    asked: Annotated[Asked[queries.ExperimentFilters], asked(queries.ExperimentFilters)],
) -> Page[Experiment]:
    """Experiments that meet every condition given, newest first."""
    page = queries.experiments(here.database, asked.filters, limit=asked.limit, cursor=asked.cursor)
    link_next(request, response, page.next_cursor)
    return Page(items=listed_experiments(here, page.items), next_cursor=page.next_cursor)


@router.get("/{id}", operation_id="get_experiment", dependencies=[until_experiment_ended])
def show(id: str, here: Here) -> Experiment:
    """One experiment with the state of each of its runs."""
    return whole_experiment(here, id)


@router.post("/{id}/cancel", operation_id="cancel_experiment", status_code=HTTPStatus.ACCEPTED)
def stop(id: str, here: Here) -> Experiment:
    """Stop what the experiment still waits for, unless another experiment wants it too.

    What is being trained stops at a checkpoint within seconds, and can be resumed from there.
    """
    cancel.cancel_experiment(here.database, id)
    return whole_experiment(here, id)


@router.post("/{id}/resume", operation_id="resume_experiment", status_code=HTTPStatus.ACCEPTED)
def resume(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Take failed and cancelled runs up again, from their checkpoints."""
    cancel.resume_experiment(here.database, id)
    afterwards.add_task(here.hints.send)
    return whole_experiment(here, id)


@router.post("/{id}/retry", operation_id="retry_experiment", status_code=HTTPStatus.ACCEPTED)
def retry(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Take the runs that have failed up again; those that were cancelled stay so."""
    cancel.resume_experiment(here.database, id, failed_only=True)
    afterwards.add_task(here.hints.send)
    return whole_experiment(here, id)


@router.post(
    "/{id}/clone",
    operation_id="clone_experiment",
    openapi_extra={"requestBody": CLONE_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def clone(id: str, body: JsonBody, here: Here, posting: MaybeForced) -> Experiment | JSONResponse:
    """Post this experiment's spec once more with some of it changed: dotted path to value.

    All else is as in a POST of the whole spec, which is what it comes to.
    """
    return posting.answer(
        {"clone": id, "body": body}, lambda: experiment_work(here.database, id).cloned(body)
    )


@router.post(
    "/{id}/extend",
    operation_id="extend_experiment",
    openapi_extra={"requestBody": EXTEND_BODY},
    **ANSWERS_AN_EXPERIMENT,
)
def extend(id: str, body: JsonBody, here: Here, posting: Joining) -> Experiment | JSONResponse:
    """Train all of its runs further: a new experiment, whose runs go on from where these ended.

    They end with the very bits of runs that were so long from the beginning. 409 while one is not
    trained, or if it has not kept its state.
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
def fork(id: str, body: JsonBody, here: Here, posting: Joining) -> Experiment | JSONResponse:
    """Go on from where its runs have ended with some of the spec changed: a new experiment.

    409 while one is not trained, or if it has not kept its state.
    """
    return posting.answer(
        {"fork": id, "body": body},
        lambda: experiment_work(here.database, id).forked(here.database, body),
    )


@router.patch("/{id}", operation_id="update_experiment", responses=UNREADABLE)
def update(id: str, body: JsonBody, here: Here) -> Experiment:
    """Change name, tags or notes, those that are given; nothing is run for it."""
    label = Label.parse(body)
    label_experiment(here.database, id, **label.model_dump(include=label.model_fields_set))
    return whole_experiment(here, id)


@router.post("/{id}/pin", operation_id="pin_experiment")
def pin(id: str, here: Here) -> Experiment:
    """Have its deletion refused until it is unpinned."""
    pin_experiment(here.database, id, pinned=True)
    return whole_experiment(here, id)


@router.post("/{id}/unpin", operation_id="unpin_experiment")
def unpin(id: str, here: Here) -> Experiment:
    """Let it be deleted again."""
    pin_experiment(here.database, id, pinned=False)
    return whole_experiment(here, id)


@router.delete("/{id}", operation_id="delete_experiment", status_code=HTTPStatus.NO_CONTENT)
def delete(id: str, here: Here) -> None:
    """Delete an experiment that has ended, and the runs that nothing else holds.

    A run stays while another experiment, a pin, or an evaluation that was asked for by itself holds
    it. Files that nothing refers to any more are removed within some minutes. 409 while it goes on
    (cancel it first) and while it is pinned.
    """
    delete_experiment(here.database, id)
