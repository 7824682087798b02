"""Data sets: those that come with Heddle, and those that people upload."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.answers.datasets import dataset_page, factor_table, whole_dataset
from api.answers.files import file_route
from api.documents.base import Page
from api.documents.datasets import DatasetChange, DatasetDocument, Understood, uploaded_document
from api.http.body import JsonBody
from api.http.etags import MAY_CHANGE, known
from api.http.query import Cursor, Limit, link_next
from api.openapi import CHANGE_DATASET_BODY, NEW_DATASET_BODY, NO_ROOM, UNDERSTOOD, UNREADABLE
from api.state.context import Here
from api.state.uploaded import dataset_named
from api.submission.datasets import (
    SentDataset,
    refuse_built_in,
    store_dataset,
    understand_dataset,
)
from api.submission.folders import stored_datasets
from ml.reproducibility.canonical_json import canonical_json
from store.datasets import change_dataset, delete_dataset
from store.retention.collect_datasets import remove_unnamed

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

CSV = "text/csv"
DryRun = Annotated[bool, Query(description="Only show what would be stored; nothing is kept.")]
Private = Annotated[bool, Query(description="With those that are private.")]


@router.post(
    "",
    operation_id="create_dataset",
    status_code=HTTPStatus.CREATED,
    response_model=DatasetDocument,
    responses=UNDERSTOOD | UNREADABLE | NO_ROOM,
    openapi_extra={"requestBody": NEW_DATASET_BODY},
)
async def create(
    sent: SentDataset, here: Here, response: Response, dry_run: DryRun = False
) -> DatasetDocument | JSONResponse:
    """Upload images, with a table of their factors if there is one. Specs may name them then.

    The files come in this form. Large ones come in parts beforehand (`/v1/uploads`), and JSON names
    them here. They are checked before anything is recorded: a file that cannot be used leaves
    nothing behind, and the answer names its faults.

    With `dry_run` nothing is kept, and the answer (200) shows what was understood. The answer is
    409 if another data set has the name.
    """
    async with here.lanes.importing.place():
        if dry_run:
            about = await to_thread.run_sync(understand_dataset, here, sent)
            return JSONResponse(Understood.of(sent.new.name, about).model_dump(mode="json"))
        added = await to_thread.run_sync(store_dataset, here, sent)
    response.headers["Location"] = f"/v1/datasets/{added.name}"
    return uploaded_document(added)


@router.get("", operation_id="list_datasets")
def index(
    here: Here,
    request: Request,
    response: Response,
    private: Private = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DatasetDocument]:
    """List the data sets: uploaded ones, newest first, then those that come with Heddle.

    The latter are not opened for a list, so their images are not counted here.
    """
    page = dataset_page(here, private=private, limit=limit, cursor=cursor)
    link_next(request, response, page.next_cursor)
    return page


@router.get("/{name}", operation_id="get_dataset")
async def show(name: str, here: Here) -> DatasetDocument:
    """Show a data set, also by a former name.

    One that comes with Heddle is opened, which may take a while the first time.
    """
    async with here.lanes.drawing.place():
        return await to_thread.run_sync(whole_dataset, here, name)


@file_route(router, "/{name}/factors.csv", "factors", CSV)
async def factors(name: str, here: Here, request: Request) -> Response:
    """The factors of each image, one row an image in their order, one column a factor.

    Values are called as in the file that was sent. A cell is empty where a factor is not known. The
    answer is 409 for a data set without factors.
    """
    chosen = await to_thread.run_sync(dataset_named, here.database, name)
    async with here.lanes.drawing.place():
        data = await to_thread.run_sync(chosen.open)
    rows = factor_table(data)
    identity = canonical_json(chosen.identity()).encode()
    etag = f'W/"{hashlib.sha256(identity).hexdigest()}"'
    disposition = f'attachment; filename="{chosen.known_as}-factors.csv"'
    headers = {"ETag": etag, **MAY_CHANGE, "Content-Disposition": disposition}
    if known(request, etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(media_type=CSV, headers=headers)
    return StreamingResponse(rows, media_type=CSV, headers=headers)


@router.patch(
    "/{name}",
    operation_id="update_dataset",
    responses=UNREADABLE,
    openapi_extra={"requestBody": CHANGE_DATASET_BODY},
)
def update(name: str, body: JsonBody, here: Here) -> DatasetDocument:
    """Change the name, description, licence or privacy, whichever the body gives.

    The runs on a renamed data set are listed under its new name. Its former name goes on leading to
    it, so that specs with that name may be posted again.
    """
    refuse_built_in(name)
    change = DatasetChange.parse(body)
    if "name" in change.model_fields_set:
        refuse_built_in(change.name)
    values = change.model_dump(include=change.model_fields_set)
    return uploaded_document(change_dataset(here.database, name, **values))


@router.delete("/{name}", operation_id="delete_dataset", status_code=HTTPStatus.NO_CONTENT)
def delete(name: str, here: Here) -> None:
    """Delete an uploaded data set that no run uses, with its images.

    The answer is 409 while runs use it, and names them with their experiments.
    """
    refuse_built_in(name)
    digest = delete_dataset(here.database, name)
    remove_unnamed(here.database, stored_datasets(), digest)
