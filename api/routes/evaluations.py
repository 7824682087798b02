"""Evaluations: of files of codes that clients send, and of runs."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, BackgroundTasks, Request, Response

from api.answers.advice import advised_evaluation
from api.answers.logs import LOG_ANSWER, AskedLog, log_answer
from api.answers.long_poll import until_evaluation_ended
from api.answers.work import whole_evaluation
from api.documents.base import Page
from api.documents.evaluations import AdvisedScores, EvaluationDocument, evaluation_document
from api.documents.logs import LogLine
from api.http.query import Cursor, Limit, link_next
from api.openapi import FILE_EVALUATION_BODY, NO_ROOM, UNREADABLE
from api.state.context import Here
from api.submission.headers import Owner
from api.submission.uploads import CheckedUpload
from store import queries
from store.experiments.evaluations import (
    NewFile,
    cancel_evaluation,
    evaluate_file,
    resume_evaluation,
)
from store.files.folders import check_mark
from store.jobs.log import log_of_evaluation
from store.retention.delete import delete_evaluation

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"])


@router.post(
    "",
    operation_id="create_evaluation",
    status_code=HTTPStatus.ACCEPTED,
    responses=UNREADABLE | NO_ROOM,
    openapi_extra={"requestBody": FILE_EVALUATION_BODY},
)
def create(
    upload: CheckedUpload,
    here: Here,
    owner: Owner,
    response: Response,
    afterwards: BackgroundTasks,
) -> EvaluationDocument:
    """Score codes and factors of your own. The file is checked before it is accepted.

    The same spec on the same content is not computed twice. The evaluation that exists is the
    answer then, with `reused: true`.
    """
    check_mark(here.database, here.objects)
    sha256, size = here.objects.put(upload.content)
    asked = evaluate_file(
        here.database,
        NewFile(sha256, size, upload.name, upload.account.model_dump(mode="json")),
        spec=upload.spec.document(),
        evaluation_key=upload.spec.key(),
        owner=owner,
    )
    afterwards.add_task(here.hints.send)
    response.headers["Location"] = f"/v1/evaluations/{asked.id}"
    return whole_evaluation(here, asked.id, reused=asked.reused)


@router.get("", operation_id="list_evaluations")
def index(
    here: Here,
    request: Request,
    response: Response,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EvaluationDocument]:
    """List the evaluations of files, newest first.

    `/v1/runs/{id}/evaluations` lists those of a run.
    """
    page = queries.evaluations_of_files(here.database, limit=limit, cursor=cursor)
    link_next(request, response, page.next_cursor)
    items = [evaluation_document(found) for found in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/{id}", operation_id="get_evaluation", dependencies=[until_evaluation_ended])
def show(id: str, here: Here) -> EvaluationDocument:
    """Show an evaluation of a file or of a run, with its scores once it has succeeded."""
    return whole_evaluation(here, id)


@router.get("/{id}/scores", operation_id="get_evaluation_scores")
def scores(id: str, here: Here) -> AdvisedScores:
    """List the evaluation's scores in the order of its spec, with advice on them."""
    return advised_evaluation(here, id)


@router.get(
    "/{id}/log",
    operation_id="get_evaluation_log",
    response_model=Page[LogLine],
    responses=LOG_ANSWER,
)
def log(id: str, here: Here, request: Request, asked: AskedLog) -> Response:
    """Show the workers' log of the evaluation, oldest lines first."""
    return log_answer(request, asked, partial(log_of_evaluation, here.database, id))


@router.post("/{id}/cancel", operation_id="cancel_evaluation", status_code=HTTPStatus.ACCEPTED)
def stop(id: str, here: Here) -> EvaluationDocument:
    """Stop an evaluation, also for every experiment that waits for it."""
    cancel_evaluation(here.database, id)
    return whole_evaluation(here, id)


@router.post("/{id}/resume", operation_id="resume_evaluation", status_code=HTTPStatus.ACCEPTED)
def resume(id: str, here: Here, afterwards: BackgroundTasks) -> EvaluationDocument:
    """Queue a failed or cancelled evaluation again."""
    resume_evaluation(here.database, id)
    afterwards.add_task(here.hints.send)
    return whole_evaluation(here, id)


@router.post("/{id}/retry", operation_id="retry_evaluation", status_code=HTTPStatus.ACCEPTED)
def retry(id: str, here: Here, afterwards: BackgroundTasks) -> EvaluationDocument:
    """Queue a failed evaluation again. The answer is 409 for a cancelled one."""
    resume_evaluation(here.database, id, failed_only=True)
    afterwards.add_task(here.hints.send)
    return whole_evaluation(here, id)


@router.delete("/{id}", operation_id="delete_evaluation", status_code=HTTPStatus.NO_CONTENT)
def delete(id: str, here: Here) -> None:
    """Delete an ended evaluation of a file, and the file if no other evaluation uses it.

    An evaluation of a run stays with the run, and so do its scores. It no longer keeps the run from
    being deleted.
    """
    delete_evaluation(here.database, id)
