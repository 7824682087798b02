"""Uploads: large files that come in parts, and go on after a broken connection."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Request, Response

from api.documents.datasets import NewUpload, UploadDocument, upload_document
from api.http.body import JsonBody
from api.http.negotiation import media_type
from api.http.problems import BadRequest
from api.openapi import NEW_UPLOAD_BODY, NO_ROOM, PART_BODY, TOO_MANY_UPLOADS, UNREADABLE
from api.state.context import Here
from api.submission.folders import uploads
from ml.components.spec_errors import Fault, InvalidSpec, shown

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

OFFSET, LENGTH = "Upload-Offset", "Upload-Length"
BYTES = ("application/octet-stream", "application/offset+octet-stream")
SILENT_SECONDS = 60.0
"""A sender of whom nothing comes for so long is gone, and may go on with another request."""

UploadOffset = Annotated[
    int,
    Header(alias=OFFSET, ge=0, le=2**63 - 1, description="The bytes that the service has already."),
]


@router.post(
    "",
    operation_id="create_upload",
    status_code=HTTPStatus.CREATED,
    responses=UNREADABLE | NO_ROOM | TOO_MANY_UPLOADS,
    openapi_extra={"requestBody": NEW_UPLOAD_BODY},
)
def create(body: JsonBody, here: Here, response: Response) -> UploadDocument:
    """Announce a file that will come in parts, each by a PATCH.

    When all of it has come, `POST /v1/datasets` names it. A file to which nothing is added for a
    day is removed.
    """
    asked = NewUpload.parse(body)
    most = here.settings.dataset_bytes
    if asked.bytes > most:
        raise InvalidSpec([Fault("bytes", asked.bytes, f"at most {most} (HEDDLE_DATASET_BYTES)")])
    begun = uploads().begin(asked.bytes, name=asked.name, sha256=asked.sha256)
    response.headers["Location"] = f"/v1/uploads/{begun.id}"
    return _answer(response, upload_document(begun))


@router.get("/{id}", operation_id="get_upload")
def show(id: str, response: Response) -> UploadDocument:
    """Show how much of the file has come. HEAD has it in the header Upload-Offset."""
    return _answer(response, upload_document(uploads().find(id)))


@router.head("/{id}", operation_id="head_upload")
def head(id: str, response: Response) -> None:
    """Answer with the headers of GET."""
    _answer(response, upload_document(uploads().find(id)))


@router.patch(
    "/{id}",
    operation_id="extend_upload",
    responses=UNREADABLE | NO_ROOM,
    openapi_extra={"requestBody": PART_BODY},
)
async def add(
    id: str, request: Request, response: Response, offset: UploadOffset
) -> UploadDocument:
    """Add bytes to the file. They go where it ends, which must be at Upload-Offset.

    If the connection breaks, what has come stays. The answer is 409 if the file has another number
    of bytes, which its header Upload-Offset names, and while another request adds to the file.
    """
    came = media_type(request.headers)
    if came not in BYTES:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be {BYTES[0]}, but is {shown(came)!r}.",
        )
    folder = uploads()
    with folder.adding(id, offset) as add:
        parts = aiter(request.stream())
        while True:
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    part = await anext(parts, None)
            except TimeoutError:
                detail = f"Nothing came for {SILENT_SECONDS:.0f} seconds. What came before stays."
                raise BadRequest(HTTPStatus.BAD_REQUEST, detail) from None
            if part is None:
                break
            await to_thread.run_sync(add, part)
    return _answer(response, upload_document(folder.find(id)))


@router.delete("/{id}", operation_id="delete_upload", status_code=HTTPStatus.NO_CONTENT)
def delete(id: str) -> None:
    """Discard the file."""
    uploads().remove(id)


def _answer(response: Response, document: UploadDocument) -> UploadDocument:
    response.headers[OFFSET] = str(document.offset)
    response.headers[LENGTH] = str(document.bytes)
    response.headers["Cache-Control"] = "no-store"
    return document
