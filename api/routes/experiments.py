"""Experiments: post a spec, follow its runs, stop them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from fastapi.responses import JSONResponse

from api.body import JsonBody
from api.context import Context, Here
from api.documents import Experiment, Page, Plan, experiment_document
from api.dry_run import plan_document
from api.keys import REPLAYED, IdempotencyKey, keyed
from api.long_poll import until_experiment_ended
from api.openapi import (
    CLONE_BODY,
    DRY_RUN,
    EXPERIMENT_ACCEPTED,
    EXPERIMENT_BODY,
    TOO_MANY,
    UNREADABLE,
)
from api.owner import Owner
from api.planning import changes_of, plan
from api.queries import Cursor, Limit, Since, Swept, Until, link_next, seconds, swept_values
from ml.experiment import Label, changed
from store import cancel, queries
from store.delete import delete_experiment, pin_experiment
from store.foresee import foresee
from store.keyed import KeyedRequest
from store.label import label_experiment
from store.states import ExperimentState, RunState
from store.submit import Submitted, submit, submitted_before
from store.troubles import troubles

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

Force = Annotated[bool, Query(description="Train anew what exists already.")]
Priority = Annotated[
    int, Query(ge=-10, le=10, description="Higher goes first; 0 is what most work has.")
]
DryRun = Annotated[bool, Query(description="Only tell what would be done; nothing is written.")]


@router.post(
    "",
    operation_id="create_experiment",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Experiment,
    responses=EXPERIMENT_ACCEPTED | DRY_RUN | UNREADABLE | TOO_MANY,
    openapi_extra={"requestBody": EXPERIMENT_BODY},
)
def create(
    spec: JsonBody,
    here: Here,
    owner: Owner,
    response: Response,
    afterwards: BackgroundTasks,
    force: Force = False,
    priority: Priority = 0,
    dry_run: DryRun = False,
    key: IdempotencyKey = None,
) -> Experiment | JSONResponse:
    """Post a spec; its runs are written down, and worked on when a worker is free.

    Work that exists already is not done twice: such a run says `reused`. With an
    `Idempotency-Key` the request itself is safe to repeat: sent again with the same key, body and
    parameters, it is answered with the experiment that it made the first time, also while the first
    is under way. With `dry_run` nothing is written, and the answer (200) is what would be done:
    a request that is new is refused exactly when the real one would be. An owner who would have
    more runs waiting than the operator allows is refused with 429.
    """
    wishes = Wishes(owner, priority, force)
    # As it was hashed before there were priorities, where it has none.
    options = {"force": force} | ({"priority": priority} if priority else {})
    request = None if key is None else keyed(key, spec, **options)
    # Before the spec is checked: what it names may be gone since, and a sweep is long.
    before = None if request is None else submitted_before(here.database, owner, request)
    if dry_run:
        return JSONResponse(_plan(here, spec, wishes, before).model_dump(mode="json"))
    posted = before or _post(here, spec, wishes, request)
    afterwards.add_task(here.hints.send)
    response.headers["Location"] = f"/v1/experiments/{posted.id}"
    if posted.replayed:
        response.headers[REPLAYED] = "true"
    return _document(here, posted.id)


@router.get("", operation_id="list_experiments")
def index(
    here: Here,
    request: Request,
    response: Response,
    name: Annotated[str | None, Query(description="In its name, in capitals or not.")] = None,
    notes: Annotated[str | None, Query(description="In its notes, likewise.")] = None,
    tag: str | None = None,
    state: ExperimentState | None = None,
    dataset: Annotated[str | None, Query(description="Of one of its runs.")] = None,
    objective: Annotated[str | None, Query(description="Of one of its runs.")] = None,
    owner: str | None = None,
    swept: Swept = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Experiment]:
    """Experiments that meet every condition given, newest first."""
    page = queries.experiments(
        here.database,
        name=name,
        notes=notes,
        tag=tag,
        state=state,
        dataset=dataset,
        objective=objective,
        owner=owner,
        swept=swept_values(swept),
        since=seconds(since),
        until=seconds(until),
        limit=limit,
        cursor=cursor,
    )
    link_next(request, response, page.next_cursor)
    usage = queries.usage(here.database, [found.id for found in page.items])
    items = [experiment_document(found, None, None, usage[found.id]) for found in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/{id}", operation_id="get_experiment", dependencies=[until_experiment_ended])
def show(id: str, here: Here) -> Experiment:
    """One experiment with the state of each of its runs."""
    return _document(here, id)


@router.post("/{id}/cancel", operation_id="cancel_experiment", status_code=HTTPStatus.ACCEPTED)
def stop(id: str, here: Here) -> Experiment:
    """Stop what the experiment still waits for, unless another experiment wants it too.

    What is being trained stops at a checkpoint within seconds, and can be resumed from there.
    """
    cancel.cancel_experiment(here.database, id)
    return _document(here, id)


@router.post("/{id}/resume", operation_id="resume_experiment", status_code=HTTPStatus.ACCEPTED)
def resume(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Take failed and cancelled runs up again, from their checkpoints."""
    cancel.resume_experiment(here.database, id)
    afterwards.add_task(here.hints.send)
    return _document(here, id)


@router.post("/{id}/retry", operation_id="retry_experiment", status_code=HTTPStatus.ACCEPTED)
def retry(id: str, here: Here, afterwards: BackgroundTasks) -> Experiment:
    """Take the runs that have failed up again; those that were cancelled stay so."""
    cancel.resume_experiment(here.database, id, failed_only=True)
    afterwards.add_task(here.hints.send)
    return _document(here, id)


@router.post(
    "/{id}/clone",
    operation_id="clone_experiment",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Experiment,
    responses=EXPERIMENT_ACCEPTED | DRY_RUN | UNREADABLE | TOO_MANY,
    openapi_extra={"requestBody": CLONE_BODY},
)
def clone(
    id: str,
    body: JsonBody,
    here: Here,
    owner: Owner,
    response: Response,
    afterwards: BackgroundTasks,
    force: Force = False,
    priority: Priority = 0,
    dry_run: DryRun = False,
    key: IdempotencyKey = None,
) -> Experiment | JSONResponse:
    """Post this experiment's spec once more with some of it changed: dotted path to value.

    All else is as in a POST of the whole spec, which is what it comes to.
    """
    spec = changed(queries.experiment(here.database, id).spec, changes_of(body))
    return create(spec, here, owner, response, afterwards, force, priority, dry_run, key)


@router.patch("/{id}", operation_id="update_experiment", responses=UNREADABLE)
def update(id: str, body: JsonBody, here: Here) -> Experiment:
    """Change name, tags or notes, those that are given; nothing is run for it."""
    label = Label.parse(body)
    label_experiment(here.database, id, **label.model_dump(include=label.model_fields_set))
    return _document(here, id)


@router.post("/{id}/pin", operation_id="pin_experiment")
def pin(id: str, here: Here) -> Experiment:
    """Have its deletion refused until it is unpinned."""
    pin_experiment(here.database, id, pinned=True)
    return _document(here, id)


@router.post("/{id}/unpin", operation_id="unpin_experiment")
def unpin(id: str, here: Here) -> Experiment:
    """Let it be deleted again."""
    pin_experiment(here.database, id, pinned=False)
    return _document(here, id)


@router.delete("/{id}", operation_id="delete_experiment", status_code=HTTPStatus.NO_CONTENT)
def delete(id: str, here: Here) -> None:
    """Delete an experiment that has ended, and the runs that nothing else holds.

    A run stays while another experiment, a pin, or an evaluation that was asked for by itself holds
    it. Files that nothing refers to any more are removed within some minutes. 409 while it goes on
    (cancel it first) and while it is pinned.
    """
    delete_experiment(here.database, id)


class Wishes(NamedTuple):
    """What a request says beside its spec."""

    owner: str
    priority: int
    force: bool


def _post(here: Context, spec: Any, wishes: Wishes, request: KeyedRequest | None) -> Submitted:
    experiment, runs = plan(spec)
    return submit(
        here.database,
        name=experiment.name,
        tags=experiment.tags,
        notes=experiment.notes,
        owner=wishes.owner,
        spec=experiment.document,
        runs=runs,
        priority=wishes.priority,
        force=wishes.force,
        request=request,
        limits=here.limits,
    )


def _plan(here: Context, spec: Any, wishes: Wishes, before: Submitted | None) -> Plan:
    experiment, runs = plan(spec)
    return plan_document(
        [run.spec for run in experiment.runs],
        runs,
        foresee(
            here.database,
            runs,
            owner=wishes.owner,
            priority=wishes.priority,
            force=wishes.force and before is None,
            rules=here.store.rules,
            limits=here.limits,
        ),
        troubles(here.database),
        made=None if before is None else before.id,
    )


def _document(here: Context, id: str) -> Experiment:
    found = queries.experiment(here.database, id)
    runs = queries.experiment_runs(here.database, id)
    usage = queries.usage(here.database, [id])[id]
    return experiment_document(found, runs, _eta(here, found), usage)


def _eta(here: Context, found: queries.Experiment) -> float | None:
    """The longest time that a run under way says it needs; None while others wait unmeasured."""
    if found.counts.get(RunState.QUEUED, 0) or not found.counts.get(RunState.TRAINING, 0):
        return None
    page = queries.runs(here.database, experiment=found.id, state=RunState.TRAINING, limit=100)
    times = [(run.progress or {}).get("eta_seconds") for run in page.items]
    known = [time for time in times if time is not None]
    return max(known) if len(known) == len(times) and known else None
